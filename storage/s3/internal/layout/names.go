package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// CreationMark returns the suffix that distinguishes the creations of an id, "" if there
// can only be one.
func CreationMark(rec storage.Record) string {
	if !rec.ClientChosenID {
		return ""
	}
	sum := sha256.Sum256([]byte(CreatedAt(rec)))
	return "-" + hex.EncodeToString(sum[:6])
}

// SplitMark cuts the creation mark, if any, off a name that has the given number of words
// separated by hyphens without it.
func SplitMark(name string, words int) (rest, mark string) {
	if all := strings.Split(name, "-"); len(all) == words+1 {
		mark = "-" + all[words]
	}
	return strings.TrimSuffix(name, mark), mark
}

// ParseFragment parses the end of a fragment's key without its mark, "f/A-B". It accepts only
// what FragmentObject returns.
func ParseFragment(name string) (r ranges.Range, ok bool) {
	start, end, _ := strings.Cut(strings.TrimPrefix(name, "f/"), "-")
	var errs [2]error
	r.Start, errs[0] = strconv.ParseInt(start, 16, 64)
	r.End, errs[1] = strconv.ParseInt(end, 16, 64)
	return r, errs == [2]error{} && r.Valid() && name == FragmentObject(r, "")
}

// CreatedAt returns the time of creation as it is stored in S3.
func CreatedAt(rec storage.Record) string { return rec.Created.UTC().Format(time.RFC3339Nano) }

// FragmentObject returns the end of a fragment's key.
func FragmentObject(r ranges.Range, mark string) string {
	return fmt.Sprintf("f/%016x-%016x%s", r.Start, r.End, mark)
}
