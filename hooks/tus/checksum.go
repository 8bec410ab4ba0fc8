package tus

import "github.com/tus/tusd/v2/pkg/handler"

// statusChecksumMismatch is "460 Checksum Mismatch", a status of the tus protocol.
const statusChecksumMismatch = 460

// errChecksum is the error for a body that does not match its Upload-Checksum (tus 1.0,
// extension Checksum).
var errChecksum = handler.NewError("ERR_CHECKSUM_MISMATCH", "the body does not match its checksum", statusChecksumMismatch)
