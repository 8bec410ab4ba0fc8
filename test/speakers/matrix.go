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

// Pairs returns combinations in which each protocol meets each other one, and itself, in any
// two of the three places.
func Pairs() []Cell {
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

// Canceled is a combination of the protocols that begin and cancel an upload.
type Canceled struct{ Begin, Cancel int } // of All

// AllCanceled returns all combinations.
func AllCanceled() []Canceled {
	var all []Canceled
	for begin := range names {
		for cancel := range names {
			all = append(all, Canceled{begin, cancel})
		}
	}
	return all
}

// String returns the name of the combination.
func (c Canceled) String() string {
	return fmt.Sprintf("begin %s, cancel %s", names[c.Begin], names[c.Cancel])
}

// Run has an upload begun and canceled, and returns its id.
func (c Canceled) Run(client *Client, file []byte) (id string, err error) {
	n := c.Begin*len(names) + c.Cancel
	speakers := All(n, fmt.Sprintf("canceled-%d", n))
	u := &Upload{Client: client, File: file, Watchers: speakers, Sized: n%2 == 0}
	err = u.RunCanceled(speakers[c.Begin], speakers[c.Cancel])
	return u.ID, err
}
