package cluster

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-upload/holdfast/test"
	"github.com/holdfast-upload/holdfast/test/speakers"
)

// allCells has the test with uploads of several protocols use all combinations of them, of
// which most are tested with one node only.
var allCells = flag.Bool("all-cells", false, "begin, continue and finish uploads by all combinations of protocols on three nodes")

// Whatever protocols begin, continue and finish an upload, all of them watch it at each step
// and download it at the end, on three nodes: no two requests in a row go to the same one.
// The app is notified of each upload once, whichever node has finished it. Whatever protocol
// cancels an upload, all of them say that it is gone.
func TestEveryProtocolContinuesTheUploadsOfEveryOtherOnThreeNodes(t *testing.T) {
	t.Parallel()
	c, app := startHooked(t)
	clients := clientsOfNodes{http: speakers.NewHTTP()}
	for _, node := range c.nodes {
		clients.nodes = append(clients.nodes, node.Addr)
	}
	cells := speakers.FewCells()
	if *allCells {
		cells = speakers.Cells()
	}
	var uploads, watched, ended []*speakers.Upload
	t.Run("upload", func(t *testing.T) {
		uploads = onNodes(t, "", clients, cells, speakers.Cell.Run)
		onNodes(t, "cancel: ", clients, speakers.AllPairs(), speakers.Pair.RunCanceled)
		watched = onNodes(t, "watch ", clients, speakers.AllSending(), speakers.Sending.Run)
		if *allCells {
			ended = onNodes(t, "end: ", clients, speakers.AllPairs(), speakers.Pair.RunEnded)
		}
	})
	if t.Failed() || slices.Contains(uploads, nil) { // not all were asked for
		return
	}
	c.wantFinishedOnce(app, slices.Concat(uploads, watched, ended))
	for n, u := range uploads {
		if err := cells[n].Cancel(u); err != nil {
			t.Errorf("%s: %v", cells[n], err)
		}
	}
}

// clientsOfNodes makes clients, which begin with different nodes.
type clientsOfNodes struct {
	http  *http.Client
	nodes []string
}

func (c clientsOfNodes) of(n int) *speakers.Client {
	first := n % len(c.nodes)
	return &speakers.Client{HTTP: c.http, Nodes: slices.Concat(c.nodes[first:], c.nodes[:first])}
}

// fileOf returns a file of its own for each n.
func fileOf(n int) []byte {
	content := test.NewContent(uint64(n), speakers.FileSize)
	return content.Bytes(content.All())
}

// onNodes has an upload run for each of cells. What it returns is complete when t has run.
func onNodes[C fmt.Stringer](t *testing.T, does string, clients clientsOfNodes, cells []C, run func(C, *speakers.Client, []byte) (*speakers.Upload, error)) []*speakers.Upload {
	uploads := make([]*speakers.Upload, len(cells))
	for n, cell := range cells {
		t.Run(does+cell.String(), func(t *testing.T) {
			t.Parallel()
			var err error
			if uploads[n], err = run(cell, clients.of(n), fileOf(n)); err != nil {
				t.Error(err)
			}
		})
	}
	return uploads
}

// wantFinishedOnce demands that the app is notified once of the finish of each upload, and of
// no other.
func (c *cluster) wantFinishedOnce(app *test.App, uploads []*speakers.Upload) {
	c.t.Helper()
	var events []string
	for _, u := range uploads {
		events = append(events, u.ID+".finished")
	}
	for deadline := time.Now().Add(deliveredWithin); len(missing(app, events)) > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the app was not notified: %v", missing(app, events))
		}
	}
	for id, times := range app.Received() {
		if strings.HasSuffix(id, ".finished") && (!slices.Contains(events, id) || times != 1) {
			c.t.Errorf("the app was notified of %s, %d times", id, times)
		}
	}
}
