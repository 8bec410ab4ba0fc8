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
	Deleted  EventType = "deleted" // at a client's wish
	Expired  EventType = "expired"
)

// Event tells that something happened to an upload, through whichever door.
type Event struct {
	// ID is the same whenever the same event is told, by whichever node: each
	// type happens once in the life of an upload.
	ID     string
	Type   EventType
	Upload Upload
	Time   time.Time
	// Fresh tells that it has happened just now, and in this process.
	Local bool
}

// again is the same event, told by somebody who did not see it happen.
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

// EventID is the ID of an upload's event of this type.
func EventID(upload string, typ EventType) string { return upload + "." + string(typ) }
