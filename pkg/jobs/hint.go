package jobs

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// RunChangedSubject is where it is told that a run may have changed: a plain message of
// NATS, outside of the log, whose content is the run's name. It is a hint, at most once
// and to whoever listens just then: what became of the run its engine is asked, and
// whoever misses the hint asks in time.
const RunChangedSubject = "hint.run-changed"

// maxRunName bounds the name of a run in a hint.
const maxRunName = 255

// TellRunChanged gives the hint that a run may have changed.
func TellRunChanged(nc *nats.Conn, run string) error {
	if err := nc.Publish(RunChangedSubject, []byte(run)); err != nil {
		return fmt.Errorf("tell that a run changed: %w", err)
	}
	return nil
}

// HearRunChanged calls wake for each hint until ctx ends; wake must not block.
func HearRunChanged(ctx context.Context, nc *nats.Conn, wake func(run string)) error {
	sub, err := nc.Subscribe(RunChangedSubject, func(m *nats.Msg) {
		if len(m.Data) > 0 && len(m.Data) <= maxRunName {
			wake(string(m.Data))
		}
	})
	if err != nil {
		return fmt.Errorf("listen for runs that changed: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	<-ctx.Done()
	return ctx.Err()
}
