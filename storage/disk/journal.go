package disk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// A journal is text, a line for each thing that became true:
//
//	record {"id":"abc","size":-1,…} 1a2b3c4d
//	size 1073741824 5e6f7a8b
//	range 0 52428800 9c0d1e2f
//
// The last word of a line is the CRC32C of what stands before it, in hexadecimal.
// A line whose checksum is wrong was never acknowledged, and is passed over. The
// offsets of a range are half-open.
type journal struct {
	record storage.Record // Size as declared
	ranges ranges.Set
	lines  int
	length int64 // of the part that ends with a whole line
	late   bool  // the size was declared late, so that bytes beyond it may have been written

	// doubtful is set if the file may say more than this, or may not be there after a
	// power loss, because a sync failed: it is written anew before it is used.
	doubtful bool
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseJournal reads what a journal file holds. It returns false if there is no record in
// it: unless there is another line, the upload was never created.
func parseJournal(text []byte) (journal, bool) {
	var j journal
	created := false
	for {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			return j, created
		}
		j.length += int64(len(line)) + 1
		text = rest
		entry, ok := checked(line)
		if !ok {
			continue
		}
		j.lines++
		kind, value, _ := bytes.Cut(entry, []byte(" "))
		switch string(kind) {
		case "record":
			created = json.Unmarshal(value, &j.record) == nil
		case "size":
			if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
				j.record.Size, j.late = n, true
			}
		case "range":
			if r, ok := parseRange(string(value)); ok {
				j.ranges.Add(r)
			}
		}
	}
}

func parseRange(text string) (ranges.Range, bool) {
	start, end, _ := strings.Cut(text, " ")
	var r ranges.Range
	var errs [2]error
	r.Start, errs[0] = strconv.ParseInt(start, 10, 64)
	r.End, errs[1] = strconv.ParseInt(end, 10, 64)
	return r, errs == [2]error{} && r.Valid()
}

// checked returns a line without its checksum, and whether that is right.
func checked(line []byte) ([]byte, bool) {
	at := bytes.LastIndexByte(line, ' ')
	if at < 0 {
		return nil, false
	}
	sum, err := strconv.ParseUint(string(line[at+1:]), 16, 32)
	return line[:at], err == nil && uint32(sum) == crc32.Checksum(line[:at], castagnoli)
}

func seal(entry []byte) []byte {
	return fmt.Appendf(nil, "%s %08x\n", entry, crc32.Checksum(entry, castagnoli))
}

func recordLine(rec storage.Record) ([]byte, error) {
	text, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	return seal(append([]byte("record "), text...)), nil
}

func sizeLine(size int64) []byte { return seal(fmt.Appendf(nil, "size %d", size)) }

func rangeLines(set ranges.Set) []byte {
	var out []byte
	for _, r := range set.Ranges() {
		out = append(out, seal(fmt.Appendf(nil, "range %d %d", r.Start, r.End))...)
	}
	return out
}

// wordy tells whether the journal has so many lines more than it says that it is
// worth writing anew.
func (j journal) wordy() bool { return j.lines > 1000 && j.lines > 4*j.ranges.Count() }

// compact is the shortest text that says what j does.
func (j journal) compact() ([]byte, error) {
	rec, size := j.record, []byte(nil)
	if j.late {
		rec.Size, size = storage.Unknown, sizeLine(j.record.Size)
	}
	text, err := recordLine(rec)
	return slices.Concat(text, size, rangeLines(j.ranges)), err
}
