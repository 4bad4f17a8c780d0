package alerttest

import (
	"context"
	"sync"

	"github.com/openblotter/blotter/pkg/alert"
)

// Memory is a channel that keeps what it was sent.
type Memory struct {
	mu    sync.Mutex
	taken []alert.Alert
	fail  func(alert.Alert) error
}

var _ alert.Channel = (*Memory)(nil)

// Name implements alert.Channel.
func (m *Memory) Name() string { return "memory" }

// Disturb has alerts fail for which fail gives an error; nil: none does.
func (m *Memory) Disturb(fail func(alert.Alert) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

// Taken gives what was taken, in order.
func (m *Memory) Taken() []alert.Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]alert.Alert{}, m.taken...)
}

// Send implements alert.Channel.
func (m *Memory) Send(ctx context.Context, a alert.Alert) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(a); err != nil {
			return err
		}
	}
	m.taken = append(m.taken, a)
	return nil
}
