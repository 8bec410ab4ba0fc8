package storagetest

import (
	"context"

	"github.com/holdfast-upload/holdfast/storage"
)

// NoDelivery leaves every delivery pending in a process that does not run the outbox.
var NoDelivery = storage.DeliveryOptions{
	Deliverer: storage.DelivererFunc(func(context.Context, storage.Delivery) error { return nil }),
}
