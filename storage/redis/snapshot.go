package redis

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/internal/lru"
	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// snapshot is the state of an upload after a change.
type snapshot struct {
	generation string // "" if there is no state
	base, seq  int64  // the numbers of the change that the replaced state included, and of the last one
	up         storage.Upload
}

// is reports whether up is the state of the snapshot, which was merged into up.
func (s snapshot) is(up storage.Upload) bool {
	return up.Created.Equal(s.up.Created) && up.Size == s.up.Size && up.ModifiedAt.UnixMilli() == s.up.ModifiedAt.UnixMilli() &&
		up.Received.Equal(s.up.Received) && up.Extents.Equal(s.up.Extents)
}

// needsCompaction reports whether so many changes are superseded that it is worth replacing
// the state.
func (s snapshot) needsCompaction() bool {
	changes := s.seq - s.base
	return changes > 1000 && changes > 4*int64(s.up.Extents.Len()+s.up.Received.Count())
}

var errAnswer = errors.New("unexpected answer")

// next returns the state by an answer of Redis: the whole, or the changes since s.
func (s snapshot) next(fields []any) (snapshot, error) {
	texts := make([]string, len(fields))
	for i := range fields {
		texts[i], _ = fields[i].(string)
	}
	if texts[0] == "all" {
		return parseState(texts[1:])
	}
	if texts[0] != "since" || len(texts) < 4 {
		return s, errAnswer
	}
	err := s.parseHead(texts[1], texts[2], texts[3])
	for _, text := range texts[4:] {
		var p storage.Extent
		if err == nil {
			p, err = parseExtent(text)
			s.up.Add(p)
		}
	}
	return s, err
}

// parseHead sets the number of the last change, the size and the time of the last addition.
func (s *snapshot) parseHead(seq, size, touched string) error {
	var errs [3]error
	var ms int64
	s.seq, errs[0] = strconv.ParseInt(seq, 10, 64)
	s.up.Size, errs[1] = strconv.ParseInt(size, 10, 64)
	ms, errs[2] = strconv.ParseInt(touched, 10, 64)
	s.up.ModifiedAt = time.UnixMilli(ms)
	return errors.Join(errs[:]...)
}

// parseState parses the hash of an upload: names alternating with values.
func parseState(fields []string) (s snapshot, err error) {
	hash := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		hash[fields[i]] = fields[i+1]
	}
	s.generation = hash["begun"]
	if err := json.Unmarshal([]byte(hash["record"]), &s.up.Record); err != nil {
		return s, err
	}
	if err := s.parseHead(hash["seq"], hash["size"], hash["touched"]); err != nil {
		return s, err
	}
	if s.base, err = strconv.ParseInt(hash["base"], 10, 64); err != nil {
		return s, err
	}
	if s.up.Received, err = parseSet(hash["received"]); err != nil {
		return s, err
	}
	if s.up.Extents, err = parseExtents(hash["extents"]); err != nil {
		return s, err
	}
	for n := s.base + 1; n <= s.seq; n++ {
		p, err := parseExtent(hash[strconv.FormatInt(n, 10)])
		if err != nil {
			return s, err
		}
		s.up.Add(p)
	}
	return s, nil
}

// contentTexts returns the fields received and extents of an upload.
func contentTexts(up storage.Upload) (received, extents string) {
	var r, e strings.Builder
	for span := range up.Received.All() {
		r.WriteString(rangeText(span))
	}
	for p := range up.Extents.All() {
		text := extentText(p)
		e.WriteString(strconv.Itoa(len(text)) + ":" + text)
	}
	return r.String(), e.String()
}

func extentText(p storage.Extent) string {
	return rangeText(p.Range) + string(p.Kind) + "\x00" + p.Name + "\x00" + p.Meta
}

func parseExtent(text string) (p storage.Extent, err error) {
	r, rest, err := parseRange(text)
	words := strings.SplitN(rest, "\x00", 3)
	if err == nil && len(words) != 3 {
		err = errAnswer
	}
	if err != nil {
		return p, err
	}
	return storage.Extent{Range: r, Kind: storage.Kind(words[0]), Name: words[1], Meta: words[2]}, nil
}

func parseExtents(text string) (storage.Extents, error) {
	var all []storage.Extent
	for text != "" {
		length, rest, _ := strings.Cut(text, ":")
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > len(rest) {
			return storage.Extents{}, errAnswer
		}
		p, err := parseExtent(rest[:n])
		if err != nil {
			return storage.Extents{}, err
		}
		all, text = append(all, p), rest[n:]
	}
	return storage.NewExtents(all...), nil
}

func parseSet(text string) (set ranges.Set, err error) {
	for text != "" && err == nil {
		var r ranges.Range
		r, text, err = parseRange(text)
		set.Add(r)
	}
	return set, err
}

func rangeText(r ranges.Range) string { return fmt.Sprintf("%016x%016x", r.Start, r.End) }

var errRange = errors.New("not a range")

// parseRange parses a range, and returns the rest of the text.
func parseRange(text string) (r ranges.Range, rest string, err error) {
	if len(text) < 32 {
		return r, "", errRange
	}
	var err1, err2 error
	r.Start, err1 = strconv.ParseInt(text[:16], 16, 64)
	r.End, err2 = strconv.ParseInt(text[16:32], 16, 64)
	if err1 != nil || err2 != nil || !r.Valid() {
		return ranges.Range{}, "", errRange
	}
	return r, text[32:], nil
}

// maxSnapshots is about how many bytes of memory the states take that a node keeps. Others it gets
// whole.
const maxSnapshots = 64 << 20

// snapshots keeps the state that this node knows last of each upload, by id.
type snapshots struct {
	mu  *sync.Mutex
	all *lru.Cache[snapshot]
}

func newSnapshots() snapshots { return snapshots{new(sync.Mutex), lru.New[snapshot](maxSnapshots)} }

// get returns the state that is known last, or a zero one.
func (x snapshots) get(id string) snapshot {
	x.mu.Lock()
	defer x.mu.Unlock()
	s, _ := x.all.Get(id)
	return s
}

// put keeps a state, unless a later one of the same generation is known.
func (x snapshots) put(id string, s snapshot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if last, ok := x.all.Get(id); ok && last.generation == s.generation && last.seq > s.seq {
		return
	}
	x.all.Put(id, s, s.up.MemorySize())
}
