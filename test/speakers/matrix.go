package speakers

import (
	"fmt"
	"slices"
)

// names are those of the protocols, in the order of All.
var names = []string{"tus", "content-range", "ietf", "google", "graph"}

// All returns a speaker of each protocol; n chooses the variant. A protocol that wants an id
// or a name gives the upload this one.
func All(n int, id string) []Speaker {
	return []Speaker{Tus{}, ContentRange{ID: id}, IETF{Version: 3 + n%8}, Google{Object: "holiday/" + id + "/video.mp4", No308: n/8%2 == 1}, Graph{}}
}

// Cell is a combination of the protocols that begin, continue and finish an upload. All of
// them watch and download it.
type Cell struct{ Begin, Continue, Finish int } // of All

// Cells returns all combinations.
func Cells() []Cell {
	var cells []Cell
	for begin := range names {
		for continues := range names {
			for finish := range names {
				cells = append(cells, Cell{begin, continues, finish})
			}
		}
	}
	return cells
}

// FewCells returns combinations in which each protocol meets each other one, and itself, in any
// two of the three places.
func FewCells() []Cell {
	return slices.DeleteFunc(Cells(), func(c Cell) bool { return c.Finish != (c.Begin+2*c.Continue)%len(names) })
}

// String returns the name of the cell.
func (c Cell) String() string {
	return fmt.Sprintf("begin %s, continue %s, finish %s", names[c.Begin], names[c.Continue], names[c.Finish])
}

// Run runs an upload in the protocols of the cell.
func (c Cell) Run(client *Client, file []byte) (*Upload, error) {
	n := (c.Begin*len(names)+c.Continue)*len(names) + c.Finish
	speakers := All(n, fmt.Sprintf("cell-%d", n))
	u := &Upload{Client: client, File: file, Watchers: speakers}
	u.Sized, u.GapAtEnd = (c.Begin+c.Continue+c.Finish)%2 == 0, (c.Begin+c.Finish)%2 == 0
	return u, u.Run(speakers[c.Begin], speakers[c.Continue], speakers[c.Finish])
}

// Cancel cancels an upload of the cell, by any of the protocols, and each of them in turn.
func (c Cell) Cancel(u *Upload) error {
	return u.Cancel(u.Watchers[(c.Begin+c.Continue+c.Finish)%len(u.Watchers)])
}

// Pair is a combination of a protocol that begins an upload and another one.
type Pair struct{ Begin, Other int } // of All

// AllPairs returns all combinations.
func AllPairs() []Pair {
	var all []Pair
	for begin := range names {
		for other := range names {
			all = append(all, Pair{begin, other})
		}
	}
	return all
}

// String returns the name of the combination.
func (p Pair) String() string { return names[p.Begin] + " and " + names[p.Other] }

// EndsEmpty reports whether the other protocol can end an empty file.
func (p Pair) EndsEmpty() bool { return !Natures[names[p.Other]].EndsWithBytes }

// speakers returns those of the pair, with the upload for which they are.
func (p Pair) speakers(client *Client, file []byte, does string) (begin, other Speaker, _ *Upload) {
	n := p.Begin*len(names) + p.Other
	all := All(n, fmt.Sprintf("%s-%d", does, n))
	return all[p.Begin], all[p.Other], &Upload{Client: client, File: file, Watchers: all}
}

// RunCanceled has an upload begun by one protocol and canceled by the other.
func (p Pair) RunCanceled(client *Client, file []byte) (*Upload, error) {
	begin, cancels, u := p.speakers(client, file, "canceled")
	u.Sized = (p.Begin+p.Other)%2 == 0
	return u, u.RunCanceled(begin, cancels)
}

// RunEnded has an upload begun by one protocol and ended by the other, which sends no byte
// unless it must.
func (p Pair) RunEnded(client *Client, file []byte) (*Upload, error) {
	begin, ends, u := p.speakers(client, file, fmt.Sprintf("ended-%d", len(file)))
	return u, u.RunEnded(begin, ends)
}

// Sending is a protocol that sends a chunk while others watch.
type Sending int // of All

// AllSending returns all protocols.
func AllSending() []Sending {
	var all []Sending
	for n := range names {
		all = append(all, Sending(n))
	}
	return all
}

// String returns the name of the protocol.
func (s Sending) String() string { return names[s] }

// Run has the protocol send an upload that others watch meanwhile.
func (s Sending) Run(client *Client, file []byte) (*Upload, error) {
	all := All(int(s), "watched-"+names[s])
	u := &Upload{Client: client, File: file, Watchers: all, Sized: true}
	return u, u.RunWatched(all[s])
}
