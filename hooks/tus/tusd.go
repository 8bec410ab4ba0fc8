package tus

// tusdVersion is the version of tusd that this package was written for. It depends on, or
// works around, the following of it. Check each against the source of another version; what
// that has fixed can go. The functions named first are tusd's, in package handler, the files
// are ours.
//
//  1. lockUpload: tusd locks for HEAD and GET too, which would interrupt writers. They get a
//     lock that does nothing (locker.go).
//  2. releaseLock: the callback closes the body only after writeChunk has begun, and only
//     once. The body is aborted directly (locker.go).
//  3. sizeOfUploads loads every part that Upload-Concat names, duplicates too.
//     response.found remembers them (response.go, store.go).
//  4. parseConcat does not limit the number of parts, which are loaded one by one. checkConcat
//     does (concat.go).
//  5. ParseMetadataHeader drops invalid pairs without an error; a duplicate key wins, and a
//     second header is ignored. checkMetadata rejects them (metadata.go).
//  6. extractIDFromPath accepts any id. Handler.check validates it (handler.go).
//  7. PatchFile and PostFile ignore Content-Encoding, and would store the encoded bytes.
//     Handler.check rejects it (handler.go).
//  8. PatchFile rejects another Content-Type with 400. Handler.check does with 415
//     (handler.go).
//  9. getHostAndProtocol has its own rules for Forwarded and X-Forwarded-*. setOrigin leaves
//     one consistent set of these headers (handler.go).
//  10. PatchFile rejects an offset below the current one with 409, and a repeated
//     Upload-Length with 400, even if they agree with the upload. acceptRepeated hides the
//     difference (repeat.go).
//  11. writeChunk computes the new offset as the old one plus the number of bytes written.
//     upload.WriteChunk returns the difference of the core's offsets (store.go).
//  12. bodyReader.Read hides an error of the body from the store: it returns none, and io.EOF
//     from then on. The response is its own mapping of the error, to 400 or 500. abortCause
//     has the server's own reason (response.go).
//  13. writeChunk sets the write deadline with every read, and does not clear it while the
//     store completes; bodyReader hides the length of the body. noDeadlineReader clears and
//     restores them (store.go).
//  14. newBodyReader limits the size only as it reads, after a body with a checksum was
//     spooled whole. upload.write limits the spool (store.go).
//  15. PostFile creates the final upload before it concatenates, and leaves it behind if that
//     fails, without its URL in the response. upload.ConcatUploads deletes it (store.go).
//  16. sendResp has no hook for the header: tusd sends no Retry-After, no Tus-Version with 412,
//     no ticket in Location and no Upload-Expires, answers HEAD with 5xx, leaves a rejected
//     body unread, and leaves the write deadline that its last read set. Exchange.BeforeHeader
//     is response.beforeHeader (response.go).
//  17. SupportedExtensions cannot be extended: tusd lacks checksum, checksum-trailer and
//     expiration. The Router answers OPTIONS (handler.go, checksum.go).
//  18. GracefulRequestCompletionTimeout keeps a goroutine and the request for 10 s after each
//     request, unless set (handler.go).
//  19. Config.Logger is a golang.org/x/exp/slog, not a log/slog. discardLogger drops its lines,
//     and the access log has tusd's refusals by the codes in their bodies (discardlog.go;
//     problem.CodeOfResponse).
const tusdVersion = "v2.9.2"
