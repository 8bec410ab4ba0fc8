package tus

// Places where this package depends on, or works around, the behaviour of tusd 2.9.2.
// Check the list against the source of a new version of tusd; what it has fixed can go.
//
//  1. locker: tusd locks for HEAD and GET too, which would interrupt writers: no-op lock.
//  2. lock.Lock: tusd's releaseLock callback closes the body only after writeChunk has
//     begun, and only once: the body is aborted directly.
//  3. store.GetUpload: sizeOfUploads loads every part that Upload-Concat names, duplicates
//     too: response.found remembers them.
//  4. checkConcat: tusd does not limit the number of parts, and loads them one by one.
//  5. checkMetadata: ParseMetadataHeader drops invalid pairs without an error, and
//     duplicate keys and a second header are not checked.
//  6. Handler.check: tusd accepts any id in the path.
//  7. Handler.check: tusd ignores Content-Encoding, and would store the encoded bytes.
//  8. Handler.check: tusd rejects a PATCH of another Content-Type with 400, not 415.
//  9. setOrigin: tusd has its own rules for Forwarded and X-Forwarded-*, and cannot be given
//     an origin: it gets one consistent set of headers.
// 10. acceptRepeated: tusd rejects a PATCH below the current offset with 409, and a repeated
//     Upload-Length with 400, even if both agree with the upload.
// 11. upload.WriteChunk: tusd computes the new offset as the old one plus the number of
//     bytes written, so that is returned as the difference of the core's offsets.
// 12. upload.WriteChunk: tusd's bodyReader turns every read error into io.EOF, and reports
//     its own mapping of it (400 or 500): abortCause returns the server's own reason.
// 13. noDeadlineReader: tusd sets the write deadline with every read, and does not clear it
//     while the store completes. The same type restores Length, which bodyReader hides.
// 14. upload.write: tusd limits the size only as it reads, after a body with a checksum was
//     spooled whole: LimitSpool limits the spool.
// 15. upload.ConcatUploads: tusd creates the final upload before it concatenates, and
//     leaves it behind if that fails, without its URL in the response.
// 16. response.WriteHeader: tusd sends no Retry-After, no Tus-Version with 412, no ticket in
//     Location and no Upload-Expires, answers HEAD with 5xx, leaves a rejected body unread,
//     and leaves the write deadline that its last read set.
// 17. Handler.AddOptionsHeaders: tusd's SupportedExtensions cannot be extended, so holdfast
//     answers OPTIONS (tusd lacks checksum, checksum-trailer and expiration).
// 18. GracefulRequestCompletionTimeout: tusd keeps a goroutine and the request for this long
//     after each request, by default 10 s.
// 19. discardLogger: tusd logs to golang.org/x/exp/slog, not log/slog.
