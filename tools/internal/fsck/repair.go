package fsck

import (
	"context"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ServiceName is the name under which repairs stand in the log.
const ServiceName = "auditor"

// Repairer does what is safe: each may be repeated, and changes nothing that a service
// decides by.
type Repairer interface {
	// Hold makes a table's hold queue what its state says.
	Hold(ctx context.Context, table dms.TableID) (done string, err error)
	// Unstage removes objects of the staging bucket.
	Unstage(ctx context.Context, keys []string) (done string, err error)
	// Quarantine writes the copy and the report of a quarantined file again.
	Quarantine(ctx context.Context, r eventlog.Record, e *blotterv1.TablePaused) error
	// KeepRejected writes the rejected rows of a publication again, instead of what lies
	// there; the report, which is one of these, is written last.
	KeepRejected(ctx context.Context, table dms.TableID, instead []string, e *blotterv1.PublishRequested) error
	// Say puts an event into the log.
	Say(ctx context.Context, table dms.TableID, e *blotterv1.FindingRepaired) error
}

// lack gives a finding by which events are missing in the log; nil if it seems whole.
func (r *Report) lack() *Finding {
	for _, f := range r.Findings {
		switch f.Kind {
		case LogBroken, LogEventMissing, LogEventsGone, LogBehind, LogTrimUntold, SnapshotUnknown:
			return f
		}
	}
	return nil
}

// Mend repairs what can be repaired, and says so in the log, one by one. What cannot be
// is told in the finding; an error is one of the log. Nothing is removed where the log
// lacks events: what no event asks for may be what a lost one did. No hold queue is made
// from a control state that the log does not tell of.
func (r *Report) Mend(ctx context.Context, with Repairer, reason string) error {
	lack := r.lack()
	differs := map[dms.TableID]bool{}
	for _, f := range r.Findings {
		differs[f.Table] = differs[f.Table] || f.Kind == ControlDiffers
	}
	for _, f := range r.Findings {
		if f.repair == nil {
			continue
		}
		if f.Kind == HoldDiffers && differs[f.Table] {
			f.Failed = "kept, since the control store, from which it would be made, is not as the log says: mend that first, and look again"
			continue
		}
		if lack != nil && (f.Kind == StagedUnknown || f.Kind == StagedLeft) {
			f.Failed = fmt.Sprintf("kept, since the log lacks events (%s of %s): restore the log first, and look again", lack.Kind, lack.Table)
			continue
		}
		done, err := f.repair(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			f.Failed = err.Error()
			continue
		}
		f.Repaired = true
		if err := with.Say(ctx, f.Table, &blotterv1.FindingRepaired{
			Kind: f.Kind, FileId: string(f.FileID), ObjectKey: f.Object, Found: f.Detail, Done: done, Reason: reason,
		}); err != nil {
			return fmt.Errorf("say that %s of %s is repaired: %w", f.Kind, f.Table, err)
		}
	}
	return nil
}
