package curator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/telemetry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the service's name in subjects, consumers and permissions.
const ServiceName = "curator"

// Log is what the service needs of the event log.
type Log interface {
	Consume(ctx context.Context, cfg eventlog.ConsumerConfig, handle eventlog.Handler) error
	PublishOnce(ctx context.Context, e eventlog.Event) (uint64, error)
}

// Lake is what the service needs of Iceberg.
type Lake interface {
	Publish(ctx context.Context, r lake.Request) (lake.Result, error)
	Fence(ctx context.Context, spec registry.Table, turn lake.Turn) (lake.Result, error)
	Maintain(ctx context.Context, spec registry.Table, turn lake.Turn) (lake.Result, error)
}

// Specs gives registrations by version; version 0 is the newest.
type Specs interface {
	Spec(ctx context.Context, table dms.TableID, version uint64) (registry.Table, error)
}

// Deps are what the service works with; all are needed.
type Deps struct {
	Log   Log
	Lake  Lake
	Specs Specs
	// Agree fails for good (eventlog.Permanent) where the lake knows of tokens of a table
	// that the control store never granted. It is asked whenever a token is stale: of two
	// workers of one grant that is ordinary, of a lake that was kept while log and store
	// began anew it is not, and would never end.
	Agree   func(ctx context.Context, table dms.TableID) error
	Raw     objects.Bucket
	Staging objects.Bucket // only read
	Failed  objects.Bucket
	Now     func() time.Time
	Logger  *slog.Logger
}

// Service is the shell. Several may run at once: the lake's conditional commit
// decides between them.
type Service struct{ deps Deps }

// New makes the service; Run starts it.
func New(deps Deps) *Service { return &Service{deps: deps} }

// Run works until ctx ends or something fails for good.
func (s *Service) Run(ctx context.Context) error {
	return s.deps.Log.Consume(ctx, eventlog.ConsumerConfig{
		Service: ServiceName, From: []string{"lock-manager"},
		Events: []string{"PublishRequested", "FenceRequested", "MaintenanceGranted", "TablePaused"},
	}, s.handle)
}

func (s *Service) handle(ctx context.Context, r eventlog.Record) error {
	var (
		answers []answer
		err     error
	)
	switch e := r.Event.(type) {
	case *blotterv1.PublishRequested:
		answers, err = s.publish(ctx, r.Table, e)
	case *blotterv1.FenceRequested:
		answers, err = s.fence(ctx, r.Table, e)
	case *blotterv1.MaintenanceGranted:
		answers, err = s.maintain(ctx, r.Table, e)
	case *blotterv1.TablePaused:
		if e.GetFailure() != nil && e.GetFile() != nil {
			answers, err = s.quarantine(ctx, r.Table, r.Envelope.GetTime().AsTime(), e)
		}
	}
	if err != nil {
		return err
	}
	for _, a := range answers {
		if _, err := s.deps.Log.PublishOnce(ctx, eventlog.Event{
			Table: r.Table, Service: ServiceName, ID: eventlog.ID(ServiceName, r.Table, a.name, a.parts...),
			Cause: r.Envelope.GetId(), Correlation: a.file, Actor: ServiceName,
			Time: s.deps.Now(), Message: a.event, After: a.after(r.Seq),
		}); err != nil {
			return fmt.Errorf("say %s: %w", a.name, err)
		}
	}
	return nil
}

// answer is one event to say; name and parts name it for the table.
type answer struct {
	name  string
	parts []string
	file  string
	event proto.Message
	// early: the event may be in the log since before its input, so that the
	// look-behind must go back to the beginning.
	early bool
}

func (a answer) after(input uint64) uint64 {
	if a.early {
		return 0
	}
	return input
}

func tokenPart(token uint64) string { return strconv.FormatUint(token, 10) }

func (s *Service) publish(ctx context.Context, table dms.TableID, e *blotterv1.PublishRequested) ([]answer, error) {
	spec, err := s.deps.Specs.Spec(ctx, table, e.GetSpecVersion())
	if err != nil {
		return nil, err
	}
	ctx, end := trace(ctx, e)
	request := requestOf(spec, e)
	// Before rows of a file are visible, those that it lacks are safe.
	if err := s.keepRejected(ctx, spec, e); err != nil {
		end(err)
		return s.unavailable(ctx, table, e.GetToken(), err,
			"its rejected rows could not be kept in the failed bucket, so it was not published; the service's own log says why")
	}
	result, err := try(ctx, s.attempts(ctx, "publish", table), func() (lake.Result, error) { return s.deps.Lake.Publish(ctx, request) })
	end(err)
	var refused *lake.AuditError
	var damaged *lake.DamagedError
	switch {
	case err == nil:
		return published(table, e.GetToken(), result), nil
	case errors.As(err, &refused):
		return []answer{{
			name: "publish-failed", parts: []string{tokenPart(e.GetToken())}, file: string(refused.FileID),
			event: &blotterv1.PublishFailed{
				Token: e.GetToken(), FileId: string(refused.FileID), Failure: failureOf(refused, e),
			},
		}}, nil
	case errors.Is(err, lake.ErrIncompatible):
		return []answer{publishFailed(e.GetToken(), "lake.incompatible", err.Error(),
			"register the table so that its schema can follow, then resume")}, nil
	case errors.Is(err, lake.ErrSetBack):
		return []answer{{
			name: "publish-failed", parts: []string{tokenPart(e.GetToken())},
			event: &blotterv1.PublishFailed{Token: e.GetToken(), Failure: setBack(err)},
		}}, nil
	case errors.Is(err, lake.ErrStale):
		s.deps.Logger.WarnContext(ctx, "token is stale, nothing published", "table", table.String(), "token", e.GetToken())
		return nil, s.deps.Agree(ctx, table)
	case errors.Is(err, lake.ErrOtherFiles):
		return nil, eventlog.Permanent(err)
	}
	if errors.As(err, &damaged) && ctx.Err() == nil {
		return []answer{publishFailed(e.GetToken(), wire.FailureDamaged, damaged.Error(), waysOnDamaged)}, nil
	}
	return s.unavailable(ctx, table, e.GetToken(), err, "the lake could not take the commit; the service's own log says why")
}

// waysOnSetBack is what an operator can do about it.
const waysOnSetBack = "stop the services, put the catalog (and what it names) back from a backup that is as new, and resume; " +
	"or have DMS load the table anew and resume: the load replaces all rows; or, for a table without full loads, " +
	"resume with --accept-loss: it goes on from what the lake has, and `blotter unskip TABLE --lost` has its change files merged once more"

// waysOnDamaged is what an operator can do about it.
const waysOnDamaged = "put the object back, from a backup or from another version of it, and resume: `blotter fsck` tells all that the table lacks"

// unavailable answers a publication for which a store or the lake was away for as
// long as it was tried: the lane must come free for the fence. Should the commit
// have landed after all, the fence finds it.
func (s *Service) unavailable(ctx context.Context, table dms.TableID, token uint64, err error, message string) ([]answer, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.deps.Logger.ErrorContext(ctx, "publish", "table", table.String(), "token", token, "error", err)
	return []answer{publishFailed(token, "publish.unavailable", message, "mend the cause, then resume")}, nil
}

// maxTrying bounds how long one piece of work is tried; what still fails then
// is for an operator, and must not block the table's lane.
const maxTrying = 5 * time.Minute

// damagedTries is how often work is tried on a table that lacks an object: as long as it
// may take until maintenance that goes on elsewhere has come to its end.
const damagedTries = 4

// attempts tells of each attempt that went wrong and is followed by another: with a wait
// that grows, those are some dozens in maxTrying.
func (s *Service) attempts(ctx context.Context, what string, table dms.TableID) backoff.Notify {
	attempt := 0
	return func(err error, wait time.Duration) {
		attempt++
		s.deps.Logger.WarnContext(ctx, "attempt went wrong, trying again", "what", what, "table", table.String(), "attempt", attempt, "wait", wait, "error", err)
	}
}

// try repeats work whose fault may pass.
func try[T any](ctx context.Context, tell backoff.Notify, work func() (T, error)) (T, error) {
	return tryFor(ctx, maxTrying, tell, work)
}

// final are the errors that do not pass.
var final = []error{
	lake.ErrIncompatible, lake.ErrStale, lake.ErrSetBack, lake.ErrOtherFiles, objects.ErrNotFound, objects.ErrChanged, objects.ErrExists,
}

func tryFor[T any](ctx context.Context, atMost time.Duration, tell backoff.Notify, work func() (T, error)) (T, error) {
	lacks := 0
	return backoff.Retry(ctx, func() (T, error) {
		out, err := work()
		var refused *lake.AuditError
		if damaged := (*lake.DamagedError)(nil); errors.As(err, &damaged) {
			if lacks++; lacks == damagedTries {
				return out, backoff.Permanent(err)
			}
			return out, err
		}
		if errors.As(err, &refused) || slices.ContainsFunc(final, func(one error) bool { return errors.Is(err, one) }) {
			return out, backoff.Permanent(err)
		}
		return out, err
	}, backoff.WithBackOff(backoff.NewExponentialBackOff()), backoff.WithMaxElapsedTime(atMost), backoff.WithNotify(tell))
}

func publishFailed(token uint64, code, message, hint string) answer {
	return answer{
		name: "publish-failed", parts: []string{tokenPart(token)},
		event: &blotterv1.PublishFailed{Token: token, Failure: &blotterv1.Failure{Code: code, Message: message, Hint: hint}},
	}
}

// trace puts a span into the trace of every file of the request.
func trace(ctx context.Context, e *blotterv1.PublishRequested) (context.Context, func(error)) {
	first := ctx
	ends := make([]func(error), len(e.GetParts()))
	for i, part := range e.GetParts() {
		spanned, end := telemetry.Start(telemetry.FileContext(ctx, part.GetFile().GetFileId()), ServiceName+" publish")
		if ends[i] = end; i == 0 {
			first = spanned
		}
	}
	return first, func(err error) {
		for _, end := range ends {
			end(err)
		}
	}
}

func (s *Service) fence(ctx context.Context, table dms.TableID, e *blotterv1.FenceRequested) ([]answer, error) {
	spec, err := s.deps.Specs.Spec(ctx, table, 0)
	if err != nil {
		return nil, err
	}
	var damaged *lake.DamagedError
	result, err := s.deps.Lake.Fence(ctx, spec, lake.Turn{Token: e.GetToken(), After: e.GetAfterToken(), Loss: lossOf(e)})
	switch {
	case errors.Is(err, lake.ErrStale):
		s.deps.Logger.WarnContext(ctx, "token is stale, no fence needed", "table", table.String(), "token", e.GetToken())
		return nil, s.deps.Agree(ctx, table)
	case errors.As(err, &damaged): // no grant ends without its fence: the lane tells of it, again and again
		return nil, fmt.Errorf("fence grant %d of %s: %w; %s", e.GetToken(), table, err, waysOnDamaged)
	case err != nil:
		return nil, fmt.Errorf("fence grant %d of %s: %w", e.GetToken(), table, err)
	case !result.Fenced():
		// It was published before the fence was asked for, and a crash may have
		// come between saying so and being heard.
		if result.Maintained != nil {
			a := maintained(result)
			a.early = true
			return []answer{a}, nil
		}
		answers := published(table, e.GetToken(), result)
		for i := range answers {
			answers[i].early = true
		}
		return answers, nil
	}
	return []answer{{
		name: "fenced", parts: []string{tokenPart(e.GetToken())},
		event: &blotterv1.GrantFenced{Token: e.GetToken(), SnapshotId: result.SnapshotID},
	}}, nil
}
