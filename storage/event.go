package storage

import (
	"context"
	"time"
)

// EventType says what happened to an upload.
type EventType string

// The events of an upload's life, in the order in which they can happen.
const (
	Created  EventType = "created"
	Finished EventType = "finished"
	Deleted  EventType = "deleted" // on request
	Expired  EventType = "expired"
)

// Event is something that happened to an upload, through any protocol.
type Event struct {
	// ID is the same each time the event is published, on any node: each type of event
	// occurs once per upload.
	ID     string
	Type   EventType
	Upload Upload
	Time   time.Time
	// Local reports that the event occurred just now, in this process.
	Local bool
}

// replayed returns the event marked as one that did not just occur in this process.
func (e Event) replayed() Event {
	e.Local = false
	return e
}

func (u *Uploads) notify(ctx context.Context, e Event) {
	if u.opts.Observer.Event != nil {
		u.opts.Observer.Event(ctx, e)
	}
}

func (u *Uploads) event(typ EventType, up Upload) Event {
	return Event{ID: EventID(up.ID, typ), Type: typ, Upload: up, Time: u.opts.Now(), Local: true}
}

// EventID returns the ID of an upload's event of the given type.
func EventID(upload string, typ EventType) string { return upload + "." + string(typ) }
