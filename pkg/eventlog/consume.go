package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// maxAckPending bounds the events of one partition that are delivered and not
// acknowledged, and with them the memory of its lanes.
const maxAckPending = 256

// formerProcessMessage is logged where a start waits for the end of the process before.
const formerProcessMessage = "waiting until the server knows that a former process is gone"

// ownerGroup is the group in which replicas rank for a partition.
const ownerGroup = "owner"

// ConsumerConfig says which events a service reads.
type ConsumerConfig struct {
	// Service names the durable consumers, one for each partition.
	Service string
	// From are the services whose events are read; at least one.
	From []string
	// Events are the messages' own names that are read; none: all. A consumer that
	// exists keeps its place: a name added later is delivered from there on.
	Events []string
	// Only narrows single services of From: of each that it names, these events are
	// read instead of Events.
	Only map[string][]string
	// Partitions are those that this replica reads; none: all.
	Partitions []int
	// Rank is this replica's rank for a partition, 0 to 9: events go to the lowest
	// rank that asks for them, and what a replica has left when it ended comes to
	// another after AckWait, behind newer events. nil: as the Log says (Shared), else
	// this process is the only one of its service, and what a former one has left comes
	// at once and in order.
	Rank func(partition int) int
	// Parallel bounds the handlers that run at once, over all tables; 0: 32.
	Parallel int
	// Ready is called once when all partitions deliver; may be nil.
	Ready func()
}

func (c ConsumerConfig) validate(n Partitions) error {
	var faults []error
	if err := checkName(c.Service); err != nil {
		faults = append(faults, err)
	}
	if len(c.From) == 0 {
		faults = append(faults, errors.New("no service to read from"))
	}
	for service, events := range c.Only {
		if len(events) == 0 || !slices.Contains(c.From, service) {
			faults = append(faults, fmt.Errorf("only some events of %s: none are named, or it is not read from", service))
		}
	}
	for _, p := range c.Partitions {
		if p < 0 || p >= int(n) {
			faults = append(faults, fmt.Errorf("partition %d is not between 0 and %d", p, n-1))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("consumer %q: %w", c.Service, errors.Join(faults...))
}

// Handler takes one event. nil acknowledges it. An error has it called again for
// the same event after a wait, for as long as it takes; the events behind it in
// the same table wait, other tables go on. A Permanent error ends the consumer.
// Its context carries the trace of the event's file.
type Handler func(ctx context.Context, rec Record) error

// Consume has handle called for the chosen events: for one table one after the
// other in the order of the log, for different tables at once. An event may come
// again after later ones; without Rank none comes for the first time after a later
// one, whatever becomes of the connection. It blocks until
// ctx ends (nil) or a permanent error occurs, and returns when no handler runs
// any more. Events that were delivered and not acknowledged are delivered again
// at the next start.
func (l *Log) Consume(ctx context.Context, cfg ConsumerConfig, handle Handler) error {
	if err := cfg.validate(l.partitions); err != nil {
		return Permanent(err)
	}
	if cfg.Rank == nil {
		cfg.Rank = l.rank
	}
	l.consuming.Store(cfg.Service, true)
	partitions := cfg.Partitions
	if len(partitions) == 0 {
		for p := range int(l.partitions) {
			partitions = append(partitions, p)
		}
	}
	parallel := cfg.Parallel
	if parallel <= 0 {
		parallel = 32
	}
	slots := make(chan struct{}, parallel)
	var opened atomic.Int64
	ready := func() {
		if opened.Add(1) == int64(len(partitions)) && cfg.Ready != nil {
			cfg.Ready()
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, p := range partitions {
		group.Go(func() error {
			c := newPartition(l, cfg, p, slots, handle)
			if err := c.run(groupCtx, ready); err != nil {
				return fmt.Errorf("consumer %s: %w", c.name, err)
			}
			return nil
		})
	}
	err := group.Wait()
	if ctx.Err() != nil && !IsPermanent(err) {
		return nil
	}
	return err
}

// partition is the work of one durable consumer.
type partition struct {
	log     *Log
	service string
	name    string
	cfg     jetstream.ConsumerConfig
	alone   bool
	rank    int
	slots   chan struct{}
	handle  Handler

	delivering atomic.Bool // it has a session
	began      time.Time   // of run

	ctx  context.Context // of the lanes
	fail context.CancelCauseFunc
	wait sync.WaitGroup

	mu    sync.Mutex
	items map[uint64]*item // delivered and not acknowledged, by sequence
	lanes map[string]*lane // by table, while they have items
}

func newPartition(l *Log, cfg ConsumerConfig, number int, slots chan struct{}, handle Handler) *partition {
	rank := 0
	if cfg.Rank != nil {
		rank = min(max(cfg.Rank(number), 0), 9)
	}
	name := ConsumerName(cfg.Service, number)
	return &partition{
		log:     l,
		service: cfg.Service,
		name:    name,
		cfg: jetstream.ConsumerConfig{
			Durable:        name,
			FilterSubjects: partitionSubjects(number, cfg.From, cfg.Events, cfg.Only),
			DeliverPolicy:  jetstream.DeliverAllPolicy,
			AckPolicy:      jetstream.AckExplicitPolicy,
			AckWait:        l.cfg.AckWait,
			MaxDeliver:     -1,
			MaxAckPending:  maxAckPending,
			PriorityPolicy: jetstream.PriorityPolicyPrioritized,
			PriorityGroups: []string{ownerGroup},
		},
		alone:  cfg.Rank == nil,
		rank:   rank,
		slots:  slots,
		handle: handle,
		items:  make(map[uint64]*item),
		lanes:  make(map[string]*lane),
	}
}

// run delivers until ctx ends (nil) or something permanent happens. It calls
// ready once it delivers.
func (p *partition) run(ctx context.Context, ready func()) error {
	p.log.working.add(p)
	defer p.log.working.remove(p)
	p.began = time.Now()
	p.ctx, p.fail = context.WithCancelCause(ctx)
	p.wait.Go(p.beat)
	p.fail(p.deliver(ready))
	// No message comes any more, so no lane begins.
	p.wait.Wait()
	if cause := context.Cause(p.ctx); IsPermanent(cause) {
		return cause
	}
	return nil
}

// deliver holds one session after the other, until the partition ends. It returns an
// error only for what is permanent.
func (p *partition) deliver(ready func()) error {
	cons, next, err := p.open(p.ctx)
	for err == nil {
		s := &session{next: next, missed: make(chan struct{})}
		var cc jetstream.ConsumeContext
		err = p.retry(p.ctx, "start to consume", func(context.Context) (err error) {
			cc, err = cons.Consume(func(msg jetstream.Msg) { p.take(s, msg) },
				jetstream.PullMaxMessages(maxAckPending),
				jetstream.PullPriorityGroup(ownerGroup),
				jetstream.PullPrioritized(uint8(p.rank)),
				jetstream.ConsumeErrHandler(p.disturbed))
			return err
		})
		if err != nil {
			break
		}
		ready()
		ready = func() {}
		p.delivering.Store(true)
		err = p.attend(s, cc)
		p.delivering.Store(false)
		if err == nil {
			next = p.catchUp(p.ctx, cons)
		}
	}
	if p.ctx.Err() != nil {
		return nil // its cause was told to fail
	}
	return err
}

// attend waits until the session is over: nil if the next one shall begin.
func (p *partition) attend(s *session, cc jetstream.ConsumeContext) error {
	select {
	case <-cc.Closed():
		if p.log.nc.IsClosed() {
			return Permanent(closed(p.log.nc))
		}
		return Permanent(errors.New("the server has ended it"))
	case <-s.missed:
	case <-p.ctx.Done():
	}
	cc.Stop()
	<-cc.Closed()
	return p.ctx.Err()
}

// open makes or updates the durable consumer and takes back what a former
// process has left unacknowledged: those events come at once and in order,
// instead of after AckWait and behind newer ones. It gives the number that the next
// delivery must have.
func (p *partition) open(ctx context.Context) (jetstream.Consumer, uint64, error) {
	var cons jetstream.Consumer
	err := p.retry(ctx, "open", func(ctx context.Context) (err error) {
		cons, err = p.log.stream.CreateOrUpdateConsumer(ctx, p.cfg)
		return denied(p.log.nc, err)
	})
	if err != nil {
		return nil, anyDelivery, err
	}
	info := cons.CachedInfo()
	if p.alone && info.NumWaiting > 0 {
		info = p.outlive(ctx, cons)
	}
	switch {
	case info.NumAckPending == 0 || info.NumWaiting > 0 && !p.alone: // nothing left behind, or another replica is at work
		return cons, p.expect(info.Delivered.Consumer + 1), nil
	default:
		return cons, p.reset(ctx), nil
	}
}

// session is one subscription to the deliveries of a consumer, whose numbers ascend by
// one. Where one is missing, others were lost with a connection or went to another
// process, and the session is over: after a reset the numbers begin anew, and a new
// session knows none of the old ones.
type session struct {
	next   uint64 // the number that the next delivery must have; guarded by partition.mu
	missed chan struct{}
}

const (
	// Instead of the number that the next delivery must have:
	anyDelivery = 0
	noDelivery  = math.MaxUint64

	firstDelivery = 1 // the number of the first delivery after a reset
)

// expect gives what a session that begins with this number must ask for.
func (p *partition) expect(number uint64) uint64 {
	if !p.alone {
		return anyDelivery
	}
	return number
}

// follows reports whether a delivery is the one after the last. If it is not, neither it
// nor any after it may be handled before what was missed, and the session is over.
// Needs partition.mu.
func (s *session) follows(delivery uint64) bool {
	switch s.next {
	case anyDelivery:
		return true
	case delivery:
		s.next++
		return true
	case noDelivery:
		return false
	}
	s.next = noDelivery
	close(s.missed)
	return false
}

// catchUp has the server deliver anew, in order, whatever is not acknowledged, and gives
// the number that the next delivery must have. Requests that nobody reads any more are
// waited for: what they are sent would be missed again.
func (p *partition) catchUp(ctx context.Context, cons jetstream.Consumer) (next uint64) {
	p.log.log.DebugContext(ctx, "deliveries were missed, having them again", "consumer", p.name)
	p.outlive(ctx, cons)
	return p.reset(ctx)
}

// reset sets the consumer back to the first event that is not acknowledged, and gives the
// number that the next delivery must have. Where that fails it is tried again, for
// AckWait: then the missed events come back by themselves, and deliveries are taken in
// any order.
func (p *partition) reset(ctx context.Context) (next uint64) {
	limit, cancel := context.WithTimeout(ctx, p.log.cfg.AckWait)
	defer cancel()
	err := p.retry(limit, "reset", func(ctx context.Context) error {
		_, err := p.log.stream.ResetConsumer(ctx, p.name)
		return denied(p.log.nc, err)
	})
	if err != nil && ctx.Err() == nil {
		p.log.log.WarnContext(ctx, "missed events come back only after the ack wait, behind later ones",
			"consumer", p.name, "error", err)
		return anyDelivery
	}
	return p.expect(firstDelivery)
}

// outlive waits until no request for events is left on the server, which has then seen
// that a former process or connection is gone, for no longer than AckWait, and gives
// what the server then says of the consumer. Until then events go to requests that
// nobody reads, and come back behind later ones.
func (p *partition) outlive(ctx context.Context, cons jetstream.Consumer) *jetstream.ConsumerInfo {
	limit, cancel := context.WithTimeout(ctx, p.log.cfg.AckWait)
	defer cancel()
	info, told := cons.CachedInfo(), false
	for wait := p.log.cfg.RetryMin; ; wait = min(2*wait, p.log.cfg.RetryMax) {
		now, err := cons.Info(limit)
		switch {
		case err == nil && now.NumWaiting == 0:
			return now
		case err == nil:
			info = now
		}
		if !told {
			p.log.log.DebugContext(ctx, formerProcessMessage, "consumer", p.name)
			told = true
		}
		select {
		case <-time.After(wait):
		case <-limit.Done():
			p.log.log.WarnContext(ctx, "a former process still asks for events: what it is sent comes back only after the ack wait",
				"consumer", p.name, "requests", info.NumWaiting)
			return info
		}
	}
}

// disturbed is told of what the client library cannot mend in silence.
func (p *partition) disturbed(_ jetstream.ConsumeContext, err error) {
	if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrBadRequest) {
		p.fail(Permanent(fmt.Errorf("the server has ended it: %w", err)))
		return
	}
	if errors.Is(err, jetstream.ErrNoHeartbeat) && p.removed() {
		p.fail(Permanent(fmt.Errorf("the server has ended it: %w", jetstream.ErrConsumerDeleted)))
		return
	}
	if p.ctx.Err() == nil {
		p.log.log.Log(p.ctx, p.severity(err), "consumer disturbed", "consumer", p.name, "error", err)
	}
}

// settling is how long a consumer that has just begun may be without an answer: it is led by
// a server of the cluster that was elected a moment ago, or not yet, and a request that
// reached nobody is missed with the heartbeats, half a minute later, and asked again. If
// that does not mend it, more are missed, behind this.
const settling = time.Minute

// severity is how a disturbance is logged: what mends itself after a start is no warning,
// of which each partition of each service would give some.
func (p *partition) severity(err error) slog.Level {
	passes := errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoHeartbeat)
	if passes && time.Since(p.began) < settling {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// removed reports whether the server has no such consumer any more. It tells only those
// whose request it holds at that moment: whoever was between two, or not connected, hears
// nothing from then on.
func (p *partition) removed() bool {
	ctx, cancel := context.WithTimeout(p.ctx, p.log.cfg.CallTimeout)
	defer cancel()
	_, err := p.log.stream.Consumer(ctx, p.name)
	return errors.Is(err, jetstream.ErrConsumerNotFound)
}

// beat tells the server, until the partition ends, that all delivered events are still
// being worked on.
func (p *partition) beat() {
	ticks := time.NewTicker(p.log.cfg.AckWait / 3)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			p.beatOnce()
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *partition) beatOnce() {
	p.mu.Lock()
	msgs := make([]jetstream.Msg, 0, len(p.items))
	for _, it := range p.items {
		msgs = append(msgs, it.msg)
	}
	p.mu.Unlock()
	for _, m := range msgs {
		if err := m.InProgress(); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			p.log.log.WarnContext(p.ctx, "heartbeat of events not sent", "consumer", p.name, "error", err)
			return
		}
	}
}
