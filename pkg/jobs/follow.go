package jobs

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Consumer is what Follow needs of the event log.
type Consumer interface {
	Consume(ctx context.Context, cfg eventlog.ConsumerConfig, handle eventlog.Handler) error
}

// FencesName names the consumers over which a service that transforms hears of
// fences.
func FencesName(service string) string { return service + "-fences" }

// Follow hands a service that transforms every grant of lock-manager, and every
// fence to all its dispatchers (a nil one is left out): the registration of a
// table may have moved a grant since it began. It ends with ctx, or when one of
// both fails for good. parallel bounds the events of each that are worked on at
// once.
//
// Fences have consumers of their own: a grant is worked on for as long as its
// transforms take, and the fence that is to end them must not wait behind it.
func Follow(ctx context.Context, log Consumer, service string, parallel int,
	grant func(context.Context, eventlog.Record, *blotterv1.LockGranted) error, dispatchers ...*Dispatcher,
) error {
	group, ctx := errgroup.WithContext(ctx)
	consume := func(name, event string, handle eventlog.Handler) {
		group.Go(func() error {
			return log.Consume(ctx, eventlog.ConsumerConfig{
				Service: name, From: []string{"lock-manager"}, Events: []string{event}, Parallel: parallel,
			}, handle)
		})
	}
	consume(service, "LockGranted", func(ctx context.Context, r eventlog.Record) error {
		if e, ok := r.Event.(*blotterv1.LockGranted); ok {
			return grant(ctx, r, e)
		}
		return nil
	})
	consume(FencesName(service), "FenceRequested", func(ctx context.Context, r eventlog.Record) error {
		e, ok := r.Event.(*blotterv1.FenceRequested)
		if !ok {
			return nil
		}
		for _, d := range dispatchers {
			if d == nil {
				continue
			}
			if err := d.Fence(ctx, r, e); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}
