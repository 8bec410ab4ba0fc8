package ietf

import (
	"strconv"

	"github.com/holdfast-upload/holdfast/hooks/protocol"
)

// rules are what differs between the versions of the draft. The number is that of
// Upload-Draft-Interop-Version: several texts of the draft share one.
type rules struct {
	interop int // 0 if the client sent none, or one that is not known

	incomplete    bool   // completeness is Upload-Incomplete, with the opposite value
	partialType   bool   // a PATCH must have the media type application/partial-upload
	needsComplete bool   // a PATCH must say whether it is the last; before, one that does not is
	strictBare    bool   // HEAD and DELETE must not have the fields of an append
	progress      bool   // the client knows 104 with Upload-Offset
	lifetime      string // the key of the lifetime in Upload-Limit; "" without Upload-Limit
	storedStatus  int    // of an append after which bytes are missing
	gone          int    // status of an upload that was deleted, or has expired
	invalidates   bool   // content beyond the length ends the upload
}

// versions are the known versions, from first on.
var versions = []rules{
	{incomplete: true, strictBare: true, storedStatus: 201, gone: 404},
	{strictBare: true, storedStatus: 201, gone: 404},
	{strictBare: true, storedStatus: 201, gone: 404, progress: true},
	{strictBare: true, storedStatus: 201, gone: 404, progress: true, partialType: true, lifetime: protocol.Expires},
	{storedStatus: 204, gone: 410, progress: true, partialType: true, lifetime: protocol.MaxAge, needsComplete: true},
	latest, latest, latest,
}

// latest are the newest rules. They also hold for clients without a known version.
var latest = rules{storedStatus: 204, gone: 410, progress: true, partialType: true, lifetime: protocol.MaxAge, needsComplete: true, invalidates: true}

const first = 3 // the interop version of versions[0]

// rulesOf returns the rules for the values of Upload-Draft-Interop-Version.
func rulesOf(values []string) rules {
	n, ok := integer(values)
	if !ok || n < first || n >= first+int64(len(versions)) {
		// A proxy may have removed the version of a client that knows no media type.
		unknown := latest
		unknown.partialType = false
		return unknown
	}
	v := versions[n-first]
	v.interop = int(n)
	return v
}

func (v rules) version() string { return strconv.Itoa(v.interop) }

// completeness returns the field for whether the upload is complete, and its value.
func (v rules) completeness(complete bool) (field, value string) {
	if v.incomplete {
		return uploadIncomplete, boolean(!complete)
	}
	return uploadComplete, boolean(complete)
}
