package ingestrouter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/callback"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// EntrypointConfig says how the ingress queue is read and who is kept waiting.
type EntrypointConfig struct {
	// Polls is how many long polls run at once, each for up to ten messages.
	Polls int
	// Beat is how often an execution that waits is kept so; at most a third of what its
	// state machine allows.
	Beat time.Duration
	// MaxHeld bounds the executions that are kept waiting, MaxWait for how long: beyond,
	// they end as Held.
	MaxHeld int
	MaxWait time.Duration
}

// DefaultEntrypointConfig fits the state machine of deploy/aws.
func DefaultEntrypointConfig() EntrypointConfig {
	return EntrypointConfig{Polls: 4, Beat: time.Hour, MaxHeld: 10_000, MaxWait: 300 * 24 * time.Hour}
}

// Validate reports all faults together.
func (c EntrypointConfig) Validate() error {
	var errs []error
	if c.Polls < 1 || c.Polls > 64 {
		errs = append(errs, fmt.Errorf("entrypoint: %d polls at once, expected 1 to 64", c.Polls))
	}
	if c.Beat <= 0 || c.MaxWait <= 0 || c.MaxHeld < 0 {
		errs = append(errs, fmt.Errorf("entrypoint: beat %s and longest wait %s must be positive, the number of held executions %d not negative",
			c.Beat, c.MaxWait, c.MaxHeld))
	}
	return errors.Join(errs...)
}

// EntrypointDeps are what an Entrypoint works with, beside the service.
type EntrypointDeps struct {
	Queue      ingress.Queue
	Tasks      callback.Tasks
	Executions control.Executions
	// RunChanged gives whoever follows a run of Glue the hint that it changed.
	RunChanged func(run string) error
}

// Entrypoint takes in what the ingress queue tells, and tells the workflows that wait
// how their files ended. Several may run at once.
//
// A message is deleted when all that follows from it is in the log, and the token of
// the task that waits is in the control store: a crash before has it come again, and
// whoever is told twice says nothing twice. A message that can never be taken in is
// shown again at once, so that its queue soon puts it where such ones are kept; while
// log or store do not answer, nothing is received.
type Entrypoint struct {
	router *Service
	cfg    EntrypointConfig
	deps   EntrypointDeps
	// received is when the queue has last answered, in nanoseconds of Unix; 0: never.
	received atomic.Int64
	taking   atomic.Int64 // messages that are worked on by polls
	// aside bounds the messages that are worked on beside the polls, in apart, and waiting
	// those that are worked on or wait for that.
	aside, waiting chan struct{}
	apart          sync.WaitGroup
}

// NewEntrypoint makes the entrypoint of a service; Run starts it.
func NewEntrypoint(cfg EntrypointConfig, s *Service, deps EntrypointDeps) (*Entrypoint, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Entrypoint{router: s, cfg: cfg, deps: deps, aside: make(chan struct{}, maxAside), waiting: make(chan struct{}, maxWaiting)}, nil
}

// EndsConsumer names the consumer of the ends of files: it reads the log from its
// beginning, so that whoever asks later is told of what ended before.
const EndsConsumer = ServiceName + "-ends"

// Run polls, and follows the ends of files, until ctx ends or something fails for good.
func (e *Entrypoint) Run(ctx context.Context) error {
	if err := e.router.Learn(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return e.router.deps.Log.Consume(ctx, eventlog.ConsumerConfig{
			Service: EndsConsumer, From: []string{ServiceName, "classifier", "lock-manager", "curator"},
			Only: map[string][]string{
				ServiceName: {"ObjectIgnored"}, "classifier": {"FileRejected"}, "curator": {"FileQuarantined"},
				"lock-manager": {"LockReleased", "FileIgnored", "FileRetried", "TransactionSplit"},
			},
		}, e.handle)
	})
	group.Go(func() error { return e.keeping(ctx) })
	for range e.cfg.Polls {
		group.Go(func() error { return e.poll(ctx) })
	}
	err := group.Wait()
	e.apart.Wait()
	return err
}

// silence is how long the queue may not have answered: a long poll takes some seconds, and
// after an error the next one waits for maxPause at most.
const silence = 2 * maxPause

// Working reports whether messages are taken in: the queue has answered at least once, and
// of late unless a poll works on a message, for which it has minutes.
func (e *Entrypoint) Working(now time.Time) error {
	received := e.received.Load()
	switch {
	case received == 0:
		return errors.New("the ingress queue has not answered yet")
	case e.taking.Load() == 0 && now.Sub(time.Unix(0, received)) > silence:
		return fmt.Errorf("the ingress queue has not answered since %s", time.Unix(0, received).UTC().Format(time.RFC3339))
	}
	return nil
}

const (
	// messageTimeout bounds the work on one message, below the visibility timeout.
	messageTimeout = time.Minute
	// signalTimeout bounds what a message of DMS takes that lists nothing: it is told to each
	// table of a task.
	signalTimeout = 10 * time.Minute
	// releaseTimeout bounds what a process that ends still does for one message.
	releaseTimeout = 2 * time.Second
	// minPause and maxPause bound the wait after something did not answer, and how long
	// a message is kept out of sight then.
	minPause = time.Second
	maxPause = 5 * time.Minute
)

// poll receives and handles messages until ctx ends.
func (e *Entrypoint) poll(ctx context.Context) error {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		err := e.pollOnce(ctx, pause > 0)
		if err == nil {
			pause = 0
			continue
		}
		if ctx.Err() != nil {
			break
		}
		e.router.deps.Logger.ErrorContext(ctx, "take in what the ingress queue tells", "error", err)
		pause = min(max(minPause, 2*pause), maxPause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return ctx.Err()
}

func (e *Entrypoint) pollOnce(ctx context.Context, probe bool) error {
	if probe {
		if _, err := e.router.deps.Log.Last(ctx); err != nil {
			return fmt.Errorf("ask the log: %w", err)
		}
		if _, err := e.deps.Executions.Waiting(ctx, "", 1); err != nil {
			return fmt.Errorf("ask the control store: %w", err)
		}
	}
	messages, err := e.deps.Queue.Receive(ctx)
	if err != nil {
		return err
	}
	e.received.Store(e.router.deps.Now().UnixNano())
	var group errgroup.Group
	for _, m := range messages {
		if lists(m) {
			group.Go(func() error { return e.setAside(ctx, m) })
			continue
		}
		group.Go(func() error {
			e.taking.Add(1)
			defer e.taking.Add(-1)
			return e.take(ctx, m)
		})
	}
	return group.Wait()
}

// errFault marks a message that can never be taken in.
var errFault = errors.New("the message cannot be taken in")

func fault(err error) error { return fmt.Errorf("%w: %w", errFault, err) }

// take handles one delivery to its end. The error is one that may pass.
func (e *Entrypoint) take(ctx context.Context, m ingress.Message) error {
	parsed, err := parseMessage(m.Body)
	switch {
	case err != nil:
		err = fault(err)
	case parsed.task != nil:
		timeout := taskTimeout
		if parsed.task.state != taskLoadFinished { // it lists nothing
			timeout = signalTimeout
		}
		working, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		err = e.taskChanged(working, *parsed.task, &holding{queue: e.deps.Queue, message: m, now: e.router.deps.Now})
	default:
		working, cancel := context.WithTimeout(ctx, messageTimeout)
		defer cancel()
		err = e.tell(working, parsed)
	}
	settling, cancel := lifecycle.Outlive(ctx, releaseTimeout)
	defer cancel()
	switch {
	case err == nil:
		return e.deps.Queue.Delete(settling, m)
	case errors.Is(err, errFault):
		e.router.deps.Logger.ErrorContext(ctx, "a message of the ingress queue cannot be taken in: it goes where its queue keeps such ones",
			"message", m.ID, "delivery", m.Deliveries, "error", err)
		return e.deps.Queue.Hide(settling, m, 0)
	}
	wait := min(minPause<<min(m.Deliveries, 9), maxPause)
	if ctx.Err() != nil {
		// This process ends: another one need not wait until the message comes in sight again.
		wait = 0
	}
	return errors.Join(ctx.Err(), fmt.Errorf("message %s: %w", m.ID, err), e.deps.Queue.Hide(settling, m, wait))
}

// tell takes in one message; it returns when what follows from it is in the log.
func (e *Entrypoint) tell(ctx context.Context, m message) error {
	switch {
	case m.run != "":
		return e.deps.RunChanged(m.run)
	case m.execution != nil:
		return e.executionFailed(ctx, m)
	case m.waiter != nil:
		return e.ingest(ctx, m)
	}
	n, err := e.router.Notify(ctx, m.event)
	if err == nil && len(n.Faults) > 0 {
		err = fault(errors.New(strings.Join(n.Faults, "; ")))
	}
	return err
}

// ingest notes who waits for an object, and tells of the object.
func (e *Entrypoint) ingest(ctx context.Context, m message) error {
	notTaken := func(why error) error {
		err := e.deps.Tasks.Fail(ctx, m.waiter.Token, codeNotTaken, why.Error())
		if errors.Is(err, callback.ErrGone) {
			err = nil
		}
		return err
	}
	notices, err := ParseNotification(m.event)
	if err == nil && len(notices) != 1 {
		err = fmt.Errorf("an execution is told of %d objects: one is expected", len(notices))
	}
	if err != nil {
		return notTaken(err)
	}
	n := notices[0]
	if n.Event != NoticeCreated {
		return e.succeed(ctx, m.waiter.Token, End{Outcome: Ignored, Reason: "not_created", Detail: n.Name + " tells of no object that has come"})
	}
	object, _, gone, err := e.router.find(ctx, n)
	if err != nil {
		return err
	}
	if gone != nil {
		return notTaken(gone)
	}
	if err := e.await(ctx, identify(e.router.registered(), object), *m.waiter); err != nil {
		return err
	}
	_, err = e.router.Offer(ctx, object, FromEvent)
	return err
}

// executionFailed tells that the workflow of a file ended by itself, unless the file had
// ended, or another workflow waits for it; and of the object, which it may not have
// told.
func (e *Entrypoint) executionFailed(ctx context.Context, m message) error {
	if strings.HasPrefix(m.execution.code, "Blotter.") {
		return nil // that is what it was told
	}
	notices, err := ParseNotification(m.event)
	if err == nil && (len(notices) != 1 || notices[0].Event != NoticeCreated) {
		err = errors.New("the input of an execution is not one event of an object that has come")
	}
	if err != nil {
		return fault(err)
	}
	object, _, gone, err := e.router.find(ctx, notices[0])
	if err != nil {
		return err
	}
	var id dms.FileID
	if gone != nil {
		object = dms.Object{Bucket: notices[0].Bucket, Key: notices[0].Key, VersionID: notices[0].VersionID}
	} else {
		id = identify(e.router.registered(), object)
		stale := false
		if _, err := e.change(ctx, id, func(row *control.ExecutionRow) (bool, error) {
			other := row.Execution != "" && row.Execution != m.execution.execution
			stale = other || len(row.End) > 0
			if stale || row.Token == "" {
				return false, nil
			}
			row.Token = ""
			return true, nil
		}); err != nil || stale {
			return err
		}
	}
	if err := e.router.executionFailed(ctx, id, object, *m.execution); err != nil || id == "" {
		return err
	}
	_, err = e.router.Offer(ctx, object, FromListing)
	return err
}

// maxDetail bounds what is kept of the words of others.
const maxDetail = 1 << 10

func (s *Service) executionFailed(ctx context.Context, id dms.FileID, object dms.Object, end executionEnd) error {
	table, _, ok := s.registered().Match(object.Key)
	if !ok {
		table = dms.RawTable
	}
	name := hashed("execution", end.execution)
	return s.tellSignal(ctx, "execution/"+name, object, verdict{
		table: table, name: "execution", parts: []string{name}, state: control.ObjectTold,
		event: &blotterv1.ExecutionFailed{
			FileId: string(id), Object: wire.Object(object), Execution: end.execution, Status: end.status,
			Code: end.code, Detail: strings.ToValidUTF8(end.detail[:min(len(end.detail), maxDetail)], ""),
		},
	})
}

// tellSignal says something that is no object's, once for each id.
func (s *Service) tellSignal(ctx context.Context, id string, object dms.Object, v verdict) error {
	for range maxConflicts {
		row, err := s.deps.Objects.Object(ctx, dms.FileID(id))
		switch {
		case errors.Is(err, control.ErrNotFound):
			err = s.tell(ctx, control.ObjectRow{FileID: dms.FileID(id), Object: object, Deliveries: 1}, v)
		case err == nil && row.State == control.ObjectPending:
			_, err = s.publish(ctx, row)
		}
		if !errors.Is(err, control.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("tell of %s: %w %d times in a row", id, control.ErrConflict, maxConflicts)
}

// hashed makes a short name of texts of any length.
func hashed(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		h.Write([]byte(t))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
