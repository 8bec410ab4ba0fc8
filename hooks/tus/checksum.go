package tus

import "github.com/tus/tusd/v2/pkg/handler"

// statusChecksumMismatch is 460, which the tus protocol made up.
const statusChecksumMismatch = 460

// errChecksum: the bytes of a request do not have its Upload-Checksum (tus 1.0, extension
// Checksum).
var errChecksum = handler.NewError("ERR_CHECKSUM_MISMATCH", "the bytes do not have the checksum that was given for them", statusChecksumMismatch)
