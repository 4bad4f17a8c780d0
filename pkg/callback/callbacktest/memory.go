package callbacktest

import (
	"context"
	"errors"
	"sync"

	"github.com/openblotter/blotter/pkg/callback"
)

// Answer is how a task ended.
type Answer struct {
	Output      string // of one that succeeded
	Code, Cause string // of one that failed
}

// Memory holds tasks in memory.
type Memory struct {
	mu      sync.Mutex
	waiting map[string]int // how often each was beaten
	answers map[string]Answer
	fail    error
}

var _ callback.Tasks = (*Memory)(nil)

// NewMemory makes it without any task.
func NewMemory() *Memory { return &Memory{waiting: map[string]int{}, answers: map[string]Answer{}} }

// Wait begins a task.
func (m *Memory) Wait(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[token] = 0
}

// Stop ends a task without an answer, as a timeout does.
func (m *Memory) Stop(token string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, token)
}

// Disturb has every call fail with err, until it is nil.
func (m *Memory) Disturb(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Answer tells how a task ended.
func (m *Memory) Answer(token string) (Answer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.answers[token]
	return a, ok
}

// Beats tells how often a task that waits was kept so.
func (m *Memory) Beats(token string) (int, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, ok := m.waiting[token]
	return n, ok
}

func (m *Memory) end(ctx context.Context, token string, a Answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(ctx.Err(), m.fail); err != nil {
		return err
	}
	if _, ok := m.waiting[token]; !ok {
		return callback.ErrGone
	}
	delete(m.waiting, token)
	m.answers[token] = a
	return nil
}

// Succeed implements callback.Tasks.
func (m *Memory) Succeed(ctx context.Context, token string, output []byte) error {
	return m.end(ctx, token, Answer{Output: string(output)})
}

// Fail implements callback.Tasks.
func (m *Memory) Fail(ctx context.Context, token, code, cause string) error {
	return m.end(ctx, token, Answer{Code: code, Cause: cause})
}

// Beat implements callback.Tasks.
func (m *Memory) Beat(ctx context.Context, token string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(ctx.Err(), m.fail); err != nil {
		return err
	}
	if _, ok := m.waiting[token]; !ok {
		return callback.ErrGone
	}
	m.waiting[token]++
	return nil
}
