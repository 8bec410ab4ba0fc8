package storagetest

import "github.com/holdfast-upload/holdfast/storage"

// Op is an operation of Memory that can be made to fail.
type Op string

// The operations of Memory. Each block that a Write stores is a Write of its own.
const (
	Create        Op = "create"
	SetSize       Op = "set size"
	Write         Op = "write"
	Finish        Op = "finish"
	MarkDelivered Op = "mark delivered"
	DeadLetter    Op = "dead-letter"
	Delete        Op = "delete"

	Load  Op = "load"
	Open  Op = "open"
	List  Op = "list"
	Clean Op = "clean"
)

// Writes reports whether the operation changes what is stored.
func (op Op) Writes() bool {
	switch op {
	case Create, SetSize, Write, Finish, MarkDelivered, DeadLetter, Delete:
		return true
	}
	return false
}

// Outcome is what becomes of an operation.
type Outcome int

// The outcomes of an operation.
const (
	Works            Outcome = iota
	Fails                    // with storage.ErrUnavailable, and nothing is done
	FailsButPersists         // with storage.ErrUnavailable, though everything is done
)

// String implements fmt.Stringer.
func (o Outcome) String() string {
	return [...]string{"works", "fails", "fails, but persists"}[o]
}

// Inject has fault asked before every operation from now on, by one goroutine at
// a time; nil lets everything work. It holds for all views of the data.
func (m *Memory) Inject(fault func(Op) Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
}

// do runs one operation with the outcome that it is to have.
func (m *Memory) do(op Op, id string, run func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return storage.Unavailable(string(op), id, errDead)
	}
	outcome := Works
	if m.fault != nil {
		outcome = m.fault(op)
	}
	if outcome == Fails {
		return storage.Unavailable(string(op), id, errInjected)
	}
	if err := run(); err != nil || outcome == Works {
		return err
	}
	return storage.Unavailable(string(op), id, errInjected)
}
