package contentrange

import (
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// prefix identifies the beginning of a file by its checksum.
type prefix struct {
	length int64
	sum    crc32c.Sum // of the first length bytes
}

func (p *prefix) add(b []byte) {
	p.length += int64(len(b))
	p.sum = p.sum.Append(b)
}

// maxPrefixes is the maximum number of uploads in a prefixes, at about 200 bytes each.
const maxPrefixes = 10_000

// prefixes remembers the prefixes of whole files that were sent to this process, so that a
// different file of the same length, sent to the same URL after the first one was aborted,
// is rejected before a byte of it is stored. It is only an optimization: without it the
// checksum of the finished file reveals the difference.
type prefixes struct {
	mu   sync.Mutex
	byID map[string]uploadPrefix
}

// uploadPrefix is the prefix of the upload that was created at the given time.
type uploadPrefix struct {
	created time.Time
	prefix
}

func (p *prefixes) of(up storage.Upload) prefix {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.byID[up.ID]; b.created.Equal(up.Created) {
		return b.prefix
	}
	return prefix{}
}

func (p *prefixes) remember(up storage.Upload, sent prefix) {
	if sent.length == 0 || sent.length <= p.of(up).length {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = map[string]uploadPrefix{}
	}
	for id := range p.byID {
		if len(p.byID) < maxPrefixes {
			break
		}
		delete(p.byID, id) // any of them
	}
	p.byID[up.ID] = uploadPrefix{up.Created, sent}
}
