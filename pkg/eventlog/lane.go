package eventlog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/openblotter/blotter/pkg/telemetry"
)

// item is one delivered event.
type item struct {
	seq       uint64
	stored    time.Time
	delivered int
	msg       jetstream.Msg // its newest delivery; guarded by partition.mu
}

// lane holds the delivered events of one table, lowest sequence first. A
// goroutine works it off and ends when it is empty.
type lane struct {
	table string
	queue []*item
}

// take puts a message that a session was delivered into its lane. It never blocks: the
// server sends no more than maxAckPending.
func (p *partition) take(s *session, msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		p.fail(Permanent(fmt.Errorf("delivered message on %s: %w", msg.Subject(), err)))
		return
	}
	addr, err := ParseSubject(msg.Subject())
	if err != nil {
		p.fail(Permanent(fmt.Errorf("delivered message: %w", err)))
		return
	}
	seq, table := meta.Sequence.Stream, addr.Table.String()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.follows(meta.Sequence.Consumer) {
		return
	}
	if it := p.items[seq]; it != nil {
		it.msg = msg // delivered again while it waits here: the newer delivery is acknowledged
		return
	}
	it := &item{seq: seq, stored: meta.Timestamp, delivered: int(meta.NumDelivered), msg: msg}
	p.items[seq] = it
	ln := p.lanes[table]
	if ln == nil {
		ln = &lane{table: table}
		p.lanes[table] = ln
		p.wait.Go(func() { p.work(ln) })
	}
	// Nearly always the last place; a redelivery may belong further ahead.
	at, _ := slices.BinarySearchFunc(ln.queue, seq, func(a *item, seq uint64) int { return int(int64(a.seq - seq)) })
	ln.queue = slices.Insert(ln.queue, at, it)
}

// work handles the events of a lane until it is empty or the partition ends.
func (p *partition) work(ln *lane) {
	for {
		p.mu.Lock()
		if len(ln.queue) == 0 || p.ctx.Err() != nil {
			delete(p.lanes, ln.table)
			p.mu.Unlock()
			return
		}
		it := ln.queue[0]
		ln.queue = ln.queue[1:]
		p.mu.Unlock()
		if err := p.process(it); err != nil {
			p.fail(err)
		}
	}
}

// process handles and acknowledges one event. It returns an error only when the
// partition has ended or must end.
func (p *partition) process(it *item) error {
	p.mu.Lock()
	msg := it.msg
	p.mu.Unlock()
	rec, err := decodeRecord(it.seq, it.stored, msg.Subject(), msg.Data())
	if err != nil {
		return err
	}
	rec.Delivered = it.delivered
	ctx := telemetry.FileContext(telemetry.Extract(p.ctx, msg.Headers()), rec.Envelope.GetCorrelation())
	err = p.retry(ctx, "handle "+rec.Envelope.GetId(), func(ctx context.Context) error {
		return p.handleOnce(ctx, rec)
	})
	if err != nil {
		return err
	}
	return p.acknowledge(ctx, it, rec.Envelope.GetId())
}

func (p *partition) handleOnce(ctx context.Context, rec Record) (err error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, end := telemetry.Start(ctx, p.service+" "+EventName(rec.Envelope),
		attribute.String("blotter.table", rec.Table.String()),
		attribute.Int64("blotter.seq", int64(rec.Seq)))
	began := time.Now()
	defer func() {
		p.log.handling.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(
			attribute.String("service", p.service),
			attribute.String("event", EventName(rec.Envelope)),
			attribute.Bool("ok", err == nil)))
		end(err)
	}()
	return p.handle(ctx, rec)
}

// acknowledge has the server confirm the acknowledgement. Until it has, the event
// counts as unhandled and the lane waits.
func (p *partition) acknowledge(ctx context.Context, it *item, id string) error {
	if err := p.log.at(ctx, BeforeAck, id); err != nil {
		return err
	}
	err := p.retry(ctx, "acknowledge "+id, func(ctx context.Context) error {
		p.mu.Lock()
		msg := it.msg
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, p.log.cfg.CallTimeout)
		defer cancel()
		err := msg.DoubleAck(ctx)
		if errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return nil
		}
		return denied(p.log.nc, err)
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	delete(p.items, it.seq)
	p.mu.Unlock()
	return p.log.at(ctx, AfterAck, id)
}

// retry calls do until it succeeds, fails for good, or ctx ends. The wait grows
// from RetryMin to RetryMax; a conflict begins at once with a short one, since
// looking again is all that it needs.
func (p *partition) retry(ctx context.Context, what string, do func(context.Context) error) error {
	wait := p.log.cfg.RetryMin
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		switch {
		case err == nil:
			return nil
		case IsPermanent(err):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		pause := wait/2 + rand.N(wait/2+1)
		if errors.Is(err, ErrConflict) && attempt <= 3 {
			pause /= 10
		} else {
			p.log.log.WarnContext(ctx, "attempt went wrong, trying again",
				"consumer", p.name, "what", what, "attempt", attempt, "wait", pause, "error", err)
			wait = min(wait*2, p.log.cfg.RetryMax)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
