package contentrange

import (
	"sync"
	"time"

	"github.com/holdfast-upload/holdfast/storage"
	"github.com/holdfast-upload/holdfast/storage/crc32c"
)

// prefix is what is known of the beginning of a file.
type prefix struct {
	length int64
	sum    crc32c.Sum // of so many bytes
}

func (p *prefix) add(b []byte) {
	p.length += int64(len(b))
	p.sum = p.sum.Append(b)
}

// maxPrefixes is how many uploads a prefixes remembers, about 200 bytes each.
const maxPrefixes = 10_000

// prefixes remembers what the whole files began with that were sent to this process, so
// that another file of the same length, sent to the same URL after the first one broke
// off, is refused before a byte of it is stored. It only ever helps: what it has forgotten
// is found out by the checksum of the finished file.
type prefixes struct {
	mu   sync.Mutex
	byID map[string]begun
}

// begun is the prefix of one creation of an upload.
type begun struct {
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

func (p *prefixes) remember(up storage.Upload, what prefix) {
	if what.length == 0 || what.length <= p.of(up).length {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil {
		p.byID = map[string]begun{}
	}
	for id := range p.byID {
		if len(p.byID) < maxPrefixes {
			break
		}
		delete(p.byID, id) // any of them
	}
	p.byID[up.ID] = begun{up.Created, what}
}
