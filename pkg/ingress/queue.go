package ingress

import (
	"context"
	"time"
)

// Message is one delivery of one message.
type Message struct {
	ID   string // of the message, the same in each delivery
	Body []byte
	// Deliveries counts how often the message was received, this time included; 0 if
	// the queue does not tell.
	Deliveries int
	// Receipt names this delivery.
	Receipt string
}

// Queue gives messages at least once, in no order. A message that was received stays
// out of sight for a while, which the queue is set to, and comes again unless it is
// deleted; one that came too often goes where the queue's owner keeps such ones. Many
// goroutines and processes may use it.
type Queue interface {
	// Receive waits for messages, and gives some as soon as there are any; none if
	// there were none for a while. Once ctx has ended it may still wait for what is
	// under way. What it brings then it gives to the caller, or back to the queue:
	// nothing stays out of sight that nobody has.
	Receive(ctx context.Context) ([]Message, error)
	// Delete removes a message. It may be repeated; a delivery that was overtaken by a
	// later one may remove nothing.
	Delete(ctx context.Context, m Message) error
	// Hide keeps a received message out of sight for d from now on, in whole seconds
	// and at most 12 hours; 0 shows it at once.
	Hide(ctx context.Context, m Message, d time.Duration) error
}
