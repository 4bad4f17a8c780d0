package ingresstest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/openblotter/blotter/pkg/ingress"
)

// Memory is a queue in memory. A message that was received comes again when Reappear
// says so, or at once after Hide with 0.
type Memory struct {
	mu       sync.Mutex
	next     int
	messages []*stored
	arrived  chan struct{} // closed when a message comes into sight
}

type stored struct {
	ingress.Message
	hidden bool
}

var _ ingress.Queue = (*Memory)(nil)

// NewMemory makes an empty queue.
func NewMemory() *Memory { return &Memory{arrived: make(chan struct{})} }

// Send puts a message in.
func (q *Memory) Send(body string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	q.messages = append(q.messages, &stored{Message: ingress.Message{ID: fmt.Sprint(q.next), Body: []byte(body)}})
	q.seen()
}

// Reappear shows every message that was received and is not deleted.
func (q *Memory) Reappear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		m.hidden = false
	}
	q.seen()
}

// Left counts the messages that are not deleted.
func (q *Memory) Left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

func (q *Memory) seen() {
	close(q.arrived)
	q.arrived = make(chan struct{})
}

// Receive implements ingress.Queue; it waits as long as ctx allows.
func (q *Memory) Receive(ctx context.Context) ([]ingress.Message, error) {
	for {
		got, arrived := q.take()
		if len(got) > 0 {
			return got, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-arrived:
		}
	}
}

func (q *Memory) take() ([]ingress.Message, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var got []ingress.Message
	for _, m := range q.messages {
		if m.hidden || len(got) == 10 {
			continue
		}
		m.hidden = true
		m.Deliveries++
		m.Receipt = fmt.Sprintf("%s/%d", m.ID, m.Deliveries)
		got = append(got, m.Message)
	}
	return got, q.arrived
}

// Delete implements ingress.Queue.
func (q *Memory) Delete(ctx context.Context, m ingress.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, s := range q.messages {
		if s.Receipt == m.Receipt {
			q.messages = append(q.messages[:i], q.messages[i+1:]...)
			break
		}
	}
	return ctx.Err()
}

// Hide implements ingress.Queue: a message is in sight again after 0, else when
// Reappear says so.
func (q *Memory) Hide(ctx context.Context, m ingress.Message, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.messages {
		if s.Receipt == m.Receipt && d == 0 {
			s.hidden = false
			q.seen()
		}
	}
	return ctx.Err()
}
