package disk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// A journal is text, a line for each thing that became true:
//
//	record {"id":"abc","size":-1,…} 1a2b3c4d
//	size 1073741824 5e6f7a8b
//	range 0 52428800 7a6b5c4d 9c0d1e2f
//	crc32c 1073741824 0a1b2c3d 4e5f6071
//
// and one when the upload is retired: see doneLine.
// The last word of a line is the CRC32C of what stands before it, in hexadecimal.
// A line whose checksum is wrong was never acknowledged, and is passed over. The
// offsets of a range are half-open; its CRC32C follows them, unless an older version has
// written the line. That of the whole file, of the given size, is there only where it
// does not follow from those of the ranges.
type journal struct {
	record storage.Record // Size as declared
	ranges ranges.Set
	sums   sums
	whole  rangeSum // of the whole file, empty if no line says it
	lines  int
	length int64 // of the part that ends with a whole line
	late   bool  // the size was declared late, so that bytes beyond it may have been written

	// doubtful is set if the file may say more than this, or may not be there after a
	// power loss, because a sync failed: it is written anew before it is used.
	doubtful bool

	finished, delivered time.Time // zero unless it is retired
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
			j.addRange(string(value))
		case "crc32c":
			end, sum, _ := strings.Cut(string(value), " ")
			if r, ok := parseRange("0", end); ok {
				j.whole.Range = r
				j.whole.crc, _ = parseSum(sum)
			}
		case "done":
			j.parseDone(value)
		}
	}
}

// addRange reads the value of a range's line.
func (j *journal) addRange(value string) {
	start, rest, _ := strings.Cut(value, " ")
	end, sum, _ := strings.Cut(rest, " ")
	r, ok := parseRange(start, end)
	if !ok {
		return
	}
	j.ranges.Add(r)
	if crc, ok := parseSum(sum); ok {
		j.sums.add(r, crc)
	}
}

func parseRange(start, end string) (r ranges.Range, ok bool) {
	var errs [2]error
	r.Start, errs[0] = strconv.ParseInt(start, 10, 64)
	r.End, errs[1] = strconv.ParseInt(end, 10, 64)
	return r, errs == [2]error{} && r.Valid()
}

func parseSum(text string) (crc32c.Sum, bool) {
	sum, err := strconv.ParseUint(text, 16, 32)
	return crc32c.Sum(sum), err == nil
}

// checksum is the checksum of the whole file, nil if it is not known.
func (j journal) checksum() *crc32c.Sum {
	if !j.whole.Empty() && j.whole.End == j.record.Size {
		return &j.whole.crc
	}
	if sum, ok := j.sums.of(j.record.Size); ok {
		return &sum
	}
	return nil
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

func withChecksum(entry []byte) []byte {
	return fmt.Appendf(nil, "%s %08x\n", entry, crc32.Checksum(entry, castagnoli))
}

func recordLine(rec storage.Record) ([]byte, error) {
	text, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	return withChecksum(append([]byte("record "), text...)), nil
}

func sizeLine(size int64) []byte { return withChecksum(fmt.Appendf(nil, "size %d", size)) }

func checksumLine(size int64, sum crc32c.Sum) []byte {
	return withChecksum(fmt.Appendf(nil, "crc32c %d %08x", size, uint32(sum)))
}

// rangeLines says that the ranges of a set are there.
func rangeLines(set ranges.Set) []byte { return summedLines(set, nil) }

// summedLines is rangeLines with the checksums of ranges, where these are known.
func summedLines(set ranges.Set, known sums) []byte {
	var out []byte
	unknown := set.Clone()
	for _, r := range known {
		if set.Contains(r.Range) {
			out = append(out, withChecksum(fmt.Appendf(nil, "range %d %d %08x", r.Start, r.End, uint32(r.crc)))...)
			unknown.Remove(r.Range)
		}
	}
	for _, r := range unknown.Ranges() {
		out = append(out, withChecksum(fmt.Appendf(nil, "range %d %d", r.Start, r.End))...)
	}
	return out
}

// wordy tells whether the journal has so many lines more than it says that it is
// worth writing anew.
func (j journal) needsCompaction() bool { return j.lines > 1000 && j.lines > 4*j.ranges.Count() }

// compact is the shortest text that says what j does.
func (j journal) compact() ([]byte, error) {
	rec, size := j.record, []byte(nil)
	if j.late {
		rec.Size, size = storage.Unknown, sizeLine(j.record.Size)
	}
	text, err := recordLine(rec)
	var whole, done []byte
	if !j.whole.Empty() {
		whole = checksumLine(j.whole.End, j.whole.crc)
	}
	if !j.delivered.IsZero() {
		done = doneLine(j.finished, j.delivered)
	}
	return slices.Concat(text, size, summedLines(j.ranges, j.sums), whole, done), err
}
