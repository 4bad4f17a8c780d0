package curator

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/telemetry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// maxMaintaining bounds how long one step is tried, since the table's files wait
// for it: lock-manager has it tried again later.
const maxMaintaining = 20 * time.Second

// maintain takes one step of maintenance. One that fails leaves the table as it
// was, and is answered as such once trying again has not helped.
func (s *Service) maintain(ctx context.Context, table dms.TableID, e *blotterv1.MaintenanceGranted) ([]answer, error) {
	spec, err := s.deps.Specs.Spec(ctx, table, e.GetSpecVersion())
	if err != nil {
		return nil, err
	}
	ctx, end := telemetry.Start(ctx, ServiceName+" maintain")
	result, err := tryFor(ctx, maxMaintaining, s.attempts(ctx, "maintain", table), func() (lake.Result, error) {
		return s.deps.Lake.Maintain(ctx, spec, lake.Turn{Token: e.GetToken(), After: e.GetAfterToken(), Loss: lossOf(e)})
	})
	end(err)
	switch {
	case err == nil:
		return []answer{maintained(result)}, nil
	case errors.Is(err, lake.ErrStale):
		s.deps.Logger.WarnContext(ctx, "token is stale, nothing maintained", "table", table.String(), "token", e.GetToken())
		return nil, s.deps.Agree(ctx, table)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	s.deps.Logger.ErrorContext(ctx, "maintain", "table", table.String(), "token", e.GetToken(), "error", err)
	return []answer{{
		name: "maintenance-failed", parts: []string{tokenPart(e.GetToken())},
		event: &blotterv1.MaintenanceFailed{Token: e.GetToken(), Failure: maintenanceFailure(err)},
	}}, nil
}

func maintenanceFailure(err error) *blotterv1.Failure {
	if errors.Is(err, lake.ErrIncompatible) {
		return &blotterv1.Failure{Code: "lake.incompatible", Message: err.Error(), Hint: "maintain this table with the engine that wrote it"}
	}
	if errors.Is(err, lake.ErrSetBack) {
		return setBack(err)
	}
	if damaged := (*lake.DamagedError)(nil); errors.As(err, &damaged) {
		return &blotterv1.Failure{Code: wire.FailureDamaged, Message: damaged.Error(), Hint: "put the object back, from a backup or from another version of it: `blotter fsck` tells all that the table lacks"}
	}
	return &blotterv1.Failure{
		Code: "maintenance.unavailable", Message: "the lake could not take the step; the service's own log says why",
		Hint: "the table goes on, and the step is tried again later; mend the cause, then `blotter table maintain` tries it at once",
	}
}

// maintained tells of a step that the lake has taken.
func maintained(r lake.Result) answer {
	m := r.Maintained
	event := &blotterv1.TableMaintained{
		Token: r.Token, Step: m.Step, SnapshotId: r.SnapshotID, Removed: m.Removed, Added: m.Added,
		BytesRemoved: m.BytesRemoved, BytesAdded: m.BytesAdded, More: m.More, TableRows: r.TableRows,
	}
	if !m.Next.IsZero() {
		event.Next = timestamppb.New(m.Next)
	}
	return answer{name: "maintained", parts: []string{tokenPart(r.Token)}, event: event}
}
