package speakers

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/holdfast-upload/holdfast/storage/ranges"
)

// Places in the file of an Upload, in bytes.
const (
	FileSize   = 1000 // but for empty files
	firstEnd   = 100  // end of the first chunk
	secondEnd  = 400  // and of the second one
	chunkBytes = 200  // of those that finish the upload
)

// Upload is an upload that several protocols share. What it should have is known here, and
// compared with what each protocol says.
type Upload struct {
	Client *Client
	File   []byte
	// Watchers ask for the state after each step, and download the file.
	Watchers []Speaker
	// Sized has the size given with the creation, and not with the last chunk.
	Sized bool
	// GapAtEnd has the chunk that leaves a gap be the end of the file.
	GapAtEnd bool

	ID       string
	have     ranges.Set
	size     int64
	finished bool
}

// Run has the upload begun, continued and finished, each by a protocol, watched by all
// others, and downloaded by all of them. An error says at which step.
func (u *Upload) Run(begin, continues, finishes Speaker) error {
	for _, step := range []struct {
		name string
		by   Speaker
		do   func(Speaker) error
	}{
		{"begin", begin, u.begin},
		{"continue", continues, u.fill},
		{"leave a gap", continues, u.leaveGap},
		{"fill the gap", finishes, u.fill},
		{"finish", finishes, u.finish},
		{"finish again", finishes, u.finish},
	} {
		err := step.do(step.by)
		if err == nil {
			err = u.watch()
		}
		if err != nil {
			return fmt.Errorf("%s by %s: %w", step.name, step.by.Name(), err)
		}
	}
	return u.download()
}

// chunk returns a part of the file, as a client sends it that knows the size.
func (u *Upload) chunk(start, end int64) Chunk {
	return Chunk{Offset: start, Body: u.File[start:end], Total: int64(len(u.File)), Sized: u.size != Unknown}
}

// begin creates the upload.
func (u *Upload) begin(by Speaker) error {
	u.size = Unknown
	first := u.chunk(0, min(firstEnd, int64(len(u.File))))
	first.Sized, first.Last = u.Sized, len(u.File) == 0 && Natures[by.Name()].BeginsWithBytes
	id, state, err := by.Begin(u.Client, first)
	if err != nil {
		return err
	}
	u.ID, u.size = id, state.Size
	if Natures[by.Name()].BeginsWithBytes {
		u.stored(first)
	}
	return u.agrees(by, state)
}

// stored records that a chunk was stored.
func (u *Upload) stored(c Chunk) {
	if len(c.Body) > 0 {
		u.have.Add(ranges.Of(c.Offset, int64(len(c.Body))))
	}
	if c.Sized || c.Last {
		u.size = c.Total
	}
	u.finished = u.have.Bytes() == u.size
}

// send has a chunk sent, and compares the state in the answer.
func (u *Upload) send(by Speaker, c Chunk) error {
	state, err := by.Append(u.Client, u.ID, c)
	if err != nil {
		return err
	}
	c.Sized = c.Sized || Natures[by.Name()].AlwaysSized
	u.stored(c)
	return u.agrees(by, state)
}

// fill continues the upload from its offset, up to the next place.
func (u *Upload) fill(by Speaker) error {
	from := u.have.Prefix()
	to := from + chunkBytes
	if from < secondEnd {
		to = secondEnd
	}
	return u.send(by, u.chunk(from, to))
}

// leaveGap sends a chunk that begins beyond the offset: protocols with no word for that get
// a conflict, and nothing is stored.
func (u *Upload) leaveGap(by Speaker) error {
	c := u.chunk(600, 700)
	if u.GapAtEnd {
		c = u.chunk(800, FileSize)
	}
	if Natures[by.Name()].Gaps {
		return u.send(by, c)
	}
	if _, err := by.Append(u.Client, u.ID, c); !errors.Is(err, ErrConflict) {
		return fmt.Errorf("a chunk beyond the offset: %v, want a conflict", err)
	}
	return nil
}

// finish sends the rest. Parts of it may have been stored before, or all of it, after the
// answer was lost.
func (u *Upload) finish(by Speaker) error {
	from := u.have.Prefix()
	if u.finished {
		from = FileSize - chunkBytes
	}
	c := u.chunk(from, FileSize)
	c.Last = true
	return u.send(by, c)
}

// watch has every watcher ask for the state.
func (u *Upload) watch() error {
	for _, w := range u.Watchers {
		state, err := w.Status(u.Client, u.ID)
		if err == nil {
			err = u.agrees(w, state)
		}
		if err != nil {
			return fmt.Errorf("watched by %s: %w", w.Name(), err)
		}
	}
	return nil
}

// agrees compares what a protocol says with what is stored.
func (u *Upload) agrees(by Speaker, s State) error {
	want := State{Complete: u.finished, Offset: u.have.Prefix(), Size: u.size}
	if s.Offset == Unknown && s.Complete {
		want.Offset = Unknown
	}
	if s.Size == Unknown && (s.Complete || !Natures[by.Name()].SaysSize) {
		want.Size = Unknown
	}
	if s != want {
		return fmt.Errorf("%s says %+v, want %+v, with %v stored", by.Name(), s, want, u.have)
	}
	return nil
}

// download has every watcher download the file.
func (u *Upload) download() error {
	for _, w := range u.Watchers {
		file, err := w.Download(u.Client, u.ID)
		if err == nil && !bytes.Equal(file, u.File) {
			err = fmt.Errorf("%d bytes that differ from the file", len(file))
		}
		if err != nil {
			return fmt.Errorf("download by %s: %w", w.Name(), err)
		}
	}
	return nil
}

// RunEnded has the upload begun by a protocol that sends all of the file without its size,
// and ended by another one with an empty chunk. If the first can't leave the size out, the
// other one sends the file too; if that can't end it without a byte, the last one is left to
// it: see Nature.
func (u *Upload) RunEnded(begin, ends Speaker) error {
	if err := u.begin(begin); err != nil {
		return fmt.Errorf("begin by %s: %w", begin.Name(), err)
	}
	sends, end := begin, int64(len(u.File))
	if Natures[begin.Name()].AlwaysSized {
		sends = ends
	}
	if Natures[ends.Name()].EndsWithBytes {
		end--
	}
	if from := u.have.Prefix(); from < end && !Natures[sends.Name()].AlwaysSized {
		if err := u.send(sends, u.chunk(from, end)); err != nil {
			return fmt.Errorf("all of the file by %s: %w", sends.Name(), err)
		}
	}
	for range 2 { // and again, as if the answer was lost
		if err := u.watch(); err != nil {
			return err
		}
		c := u.chunk(u.have.Prefix(), int64(len(u.File)))
		if u.finished && Natures[ends.Name()].EndsWithBytes {
			c = u.chunk(end, end+1)
		}
		c.Last = true
		if err := u.send(ends, c); err != nil {
			return fmt.Errorf("end by %s: %w", ends.Name(), err)
		}
	}
	if err := u.watch(); err != nil {
		return err
	}
	return u.download()
}

// RunCanceled has the upload begun by a protocol and canceled by another one, and demands
// that each of them says that it is gone.
func (u *Upload) RunCanceled(begin, cancels Speaker) error {
	if err := u.begin(begin); err != nil {
		return fmt.Errorf("begin by %s: %w", begin.Name(), err)
	}
	if err := u.fill(begin); err != nil {
		return fmt.Errorf("continue by %s: %w", begin.Name(), err)
	}
	return u.Cancel(cancels)
}

// Cancel has the upload canceled by a protocol, and demands that each says so: in the state,
// and to a chunk that comes late.
func (u *Upload) Cancel(by Speaker) error {
	if err := by.Cancel(u.Client, u.ID); err != nil {
		return fmt.Errorf("cancel by %s: %w", by.Name(), err)
	}
	for _, w := range u.Watchers {
		if _, err := w.Status(u.Client, u.ID); !errors.Is(err, ErrGone) {
			return fmt.Errorf("canceled by %s, and %s says %v", by.Name(), w.Name(), err)
		}
		if _, err := w.Append(u.Client, u.ID, u.chunk(firstEnd, secondEnd)); !errors.Is(err, ErrGone) {
			return fmt.Errorf("canceled by %s, and %s says %v to a chunk", by.Name(), w.Name(), err)
		}
	}
	return nil
}
