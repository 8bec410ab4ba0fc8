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
}

// Notify is told of events, in the request that caused them. It must not block.
type Notify func(context.Context, Event)

func (u *Uploads) notify(ctx context.Context, typ EventType, up Upload) {
	if u.opts.Notify == nil {
		return
	}
	u.opts.Notify(ctx, Event{ID: up.ID + "." + string(typ), Type: typ, Upload: up, Time: u.opts.Now()})
}
