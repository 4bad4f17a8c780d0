package ingestrouter

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/registry"
)

// TestAProcessThatHeardOfNoRegistration: another process hears that a table is registered.
// This one takes its objects in all the same: it asks before it holds one, and where what
// it knows was new enough not to ask, it looks again by itself.
func TestAProcessThatHeardOfNoRegistration(t *testing.T) {
	t.Run("it asks", func(t *testing.T) {
		b := newBench(t)
		s := b.started()
		s.fresh = 0
		b.register()
		b.offer(s, loadKey, FromEvent)
		b.says(reports, "ObjectArrived")
	})
	t.Run("it looks again", func(t *testing.T) {
		b := newBench(t)
		s := b.started()
		s.fresh, s.again = time.Hour, 0
		b.offer(s, loadKey, FromEvent)
		b.register()
		defer eventlogtest.Run(t, s.lookAgain)()
		eventlogtest.Eventually(t, "the object", b.hasArrived)
	})
	t.Run("what fails is done later", func(t *testing.T) {
		b := newBench(t)
		s := b.started()
		s.fresh, s.again = time.Hour, 0
		b.offer(s, loadKey, FromEvent)
		b.register()
		failures := 3
		b.fail = func(step string) error {
			if step == "publish" && failures > 0 {
				failures--
				return errors.New("the log is away")
			}
			return nil
		}
		defer eventlogtest.Run(t, s.lookAgain)()
		eventlogtest.Eventually(t, "the object", b.hasArrived)
	})
}

// hasArrived reports whether the table has heard of its one object.
func (b *bench) hasArrived() bool {
	return slices.Equal(eventlogtest.Names(b.t, b.log, eventlog.Filter{Table: reports, Service: ServiceName}), []string{"ObjectArrived"})
}

// countedSpecs counts how often the registrations are read.
type countedSpecs struct {
	Specs
	reads int
}

func (c *countedSpecs) Newest(ctx context.Context) ([]registry.Table, error) {
	c.reads++
	return c.Specs.Newest(ctx)
}

// TestHeldObjectsCostNoReadEach: many objects that nobody registered have the registrations
// read once in a while, not once for each.
func TestHeldObjectsCostNoReadEach(t *testing.T) {
	b := newBench(t)
	s := b.started()
	specs := &countedSpecs{Specs: control.NewSpecs(b.store)}
	s.deps.Specs, s.fresh = specs, time.Hour
	for _, key := range []string{loadKey, changeKey, secondLoad} {
		b.offer(s, key, FromEvent)
	}
	if specs.reads != 0 {
		t.Errorf("they were read %d times since the start", specs.reads)
	}
	s.fresh = time.Nanosecond
	was := *s.regs.now.Load()
	was.took = time.Hour // there are very many
	s.regs.now.Store(&was)
	for _, key := range []string{loadKey, changeKey, secondLoad} {
		b.offer(s, key, FromEvent)
	}
	if specs.reads != 0 {
		t.Errorf("those that take long to read were read %d times", specs.reads)
	}
	if err := s.relearn(t.Context()); err != nil || s.doubtful() {
		t.Errorf("there is doubt about what is known still, or %v", err)
	}
}
