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

// A journal is a text file with a line for each change:
//
//	record {"id":"abc","size":-1,…} 1a2b3c4d
//	size 1073741824 5e6f7a8b
//	range 0 52428800 7a6b5c4d 9c0d1e2f
//	crc32c 1073741824 0a1b2c3d 4e5f6071
//
// and others that say what became of the file: see doneLine and copiedLine. The last word of
// a line is the CRC32C of what precedes it, in hexadecimal. A line with a wrong checksum was
// never acknowledged and is skipped. The offsets of a range are half-open. They are followed
// by the CRC32C of its bytes, which lines of older versions lack. A crc32c line has the
// checksum of the whole file, of the given size; it is written only if it cannot be derived
// from those of the ranges.
type journal struct {
	record storage.Record // Size as declared
	ranges ranges.Set
	sums   sums
	whole  rangeSum // of the whole file, empty without a crc32c line
	lines  int
	length int64 // up to the end of the last complete line
	late   bool  // the size was set after creation, so bytes beyond it may have been written
	copied bool  // the final file may be a copy of the data file

	// mustRewrite is set after a failed sync: the file may say more than this, or may not
	// survive a power loss. It is rewritten before it is used.
	mustRewrite bool

	finished, delivered time.Time // zero unless it is delivered
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseJournal parses a journal file. It returns false if there is no record. If there is no
// other line either, the upload was never created.
func parseJournal(text []byte) (journal, bool) {
	var j journal
	created := false
	for {
		line, rest, complete := bytes.Cut(text, []byte("\n"))
		if !complete {
			return j, created
		}
		j.length += int64(len(line)) + 1
		text = rest
		entry, ok := verifyLine(line)
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
		case "copied":
			j.copied = true
		case "done":
			j.parseDone(value)
		}
	}
}

// addRange parses the value of a range line.
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

// checksum returns the checksum of the whole file, nil if it is not known.
func (j journal) checksum() *crc32c.Sum {
	if !j.whole.Empty() && j.whole.End == j.record.Size {
		return &j.whole.crc
	}
	if sum, ok := j.sums.of(j.record.Size); ok {
		return &sum
	}
	return nil
}

// verifyLine returns a line without its checksum, and whether that is right.
func verifyLine(line []byte) ([]byte, bool) {
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

// rangeLines returns the lines for a set of stored ranges.
func rangeLines(set ranges.Set) []byte { return summedLines(set, sums{}) }

// summedLines is rangeLines with checksums, for the ranges whose checksum is known.
func summedLines(set ranges.Set, known sums) []byte {
	var out []byte
	unknown := set.Clone()
	for r := range known.all() {
		if set.Contains(r.Range) {
			out = append(out, withChecksum(fmt.Appendf(nil, "range %d %d %08x", r.Start, r.End, uint32(r.crc)))...)
			unknown.Remove(r.Range)
		}
	}
	for r := range unknown.All() {
		out = append(out, withChecksum(fmt.Appendf(nil, "range %d %d", r.Start, r.End))...)
	}
	return out
}

// needsCompaction reports whether the journal has so many superfluous lines that it is worth
// rewriting.
func (j journal) needsCompaction() bool { return j.lines > 1000 && j.lines > 4*j.ranges.Count() }

// compact returns the shortest text for j.
func (j journal) compact() ([]byte, error) {
	rec, size := j.record, []byte(nil)
	if j.late {
		rec.Size, size = storage.Unknown, sizeLine(j.record.Size)
	}
	text, err := recordLine(rec)
	var whole, copied, done []byte
	if !j.whole.Empty() {
		whole = checksumLine(j.whole.End, j.whole.crc)
	}
	if j.copied {
		copied = copiedLine()
	}
	if !j.delivered.IsZero() {
		done = doneLine(j.finished, j.delivered)
	}
	return slices.Concat(text, size, summedLines(j.ranges, j.sums), whole, copied, done), err
}
