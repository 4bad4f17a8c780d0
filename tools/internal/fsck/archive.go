package fsck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Trims gives what the log says of its own trims, from a sequence on.
func Trims(ctx context.Context, log Log, from uint64) ([]*blotterv1.LogTrimmed, error) {
	var out []*blotterv1.LogTrimmed
	err := read(ctx, log, eventlog.Filter{Table: dms.LogTable, Service: ServiceName, Event: "LogTrimmed", FromSeq: from}, func(r eventlog.Record) {
		if e, ok := r.Event.(*blotterv1.LogTrimmed); ok {
			out = append(out, e)
		}
	})
	return out, err
}

// TrimmedTo gives the sequence at which the log begins, by what it says of itself: 1 if
// it was never trimmed.
func TrimmedTo(ctx context.Context, log Log) (uint64, error) {
	trims, err := Trims(ctx, log, 0)
	first := uint64(1)
	for _, e := range trims {
		first = max(first, e.GetFirstKept())
	}
	return first, err
}

// checkLog: log and archive join, and the log says itself where it begins. Its beginning
// is asked for before the end of the archive, and its end after it, since both move on.
// What cannot be read is left to unreadable.
func (l *look) checkLog(ctx context.Context) error {
	l.id = dms.LogTable
	if err := l.checkWhole(ctx); err != nil {
		return err
	}
	first, _, err := l.deps.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	if l.deps.KeptFault != nil {
		l.add(Finding{Kind: ArchiveUnproven, Detail: l.deps.KeptFault.Error(),
			Do: "put the signing key (audit-key) back from a backup; `blotter audit verify --key` proves the archive by a verifier key that was kept; if audit-checkpoint itself was damaged, remove it once that is done"})
	}
	archived, err := l.deps.Log.Archived(ctx)
	none := err == nil && archived == 0 || errors.Is(err, archive.ErrEmpty)
	switch {
	case (err == nil || none) && l.deps.Kept != nil && archived < l.deps.Kept.Size:
		l.add(Finding{Kind: ArchiveTaken, Object: fmt.Sprintf("event %d", archived+1),
			Detail: fmt.Sprintf("the archive ends at sequence %d, and a checkpoint of sequence %d was kept: what was archived was taken away", archived, l.deps.Kept.Size),
			Do:     "restore the archive from a copy; if it is lost for good, move what is left of it and the file audit-checkpoint away, and it is written anew as far as the log reaches back"})
	case err == nil && archived > 0:
		if err := l.noteArchive(ctx, max(archived+1, first), "the log is not archived any more"); err != nil {
			return err
		}
	case none:
		if err := l.noteArchive(ctx, first, "the log is not archived, or its archive was taken away"); err != nil {
			return err
		}
	case first == 1 && l.unreadable(err):
		return nil // the log is whole without it
	default:
		return fmt.Errorf("look at the archive of the log: %w", err)
	}
	_, last, err := l.deps.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	if last < archived {
		l.add(Finding{Kind: LogBehind, Object: fmt.Sprintf("event %d", last+1),
			Detail: fmt.Sprintf("the log ends at sequence %d, its archive is signed up to %d: the log was lost or set back", last, archived),
			Do:     "stop the system; restore the log from a backup, or begin a new system: what is said from now on contradicts what is signed"})
	}
	if archived+1 < first {
		return fmt.Errorf("%w: sequences %d to %d", eventlog.ErrGone, archived+1, first-1)
	}
	if err := l.checkArchive(ctx, first, archived); err != nil {
		return err
	}
	told, err := TrimmedTo(ctx, l.deps.Log)
	if err == nil && told < first {
		l.add(Finding{Kind: LogTrimUntold, Object: fmt.Sprintf("event %d", first),
			Detail: fmt.Sprintf("the log begins at sequence %d, and says itself that it begins at %d", first, told),
			Do:     "somebody purged the stream, or a trim died (or runs just now): `blotter audit verify --against` tells whether all of it is archived; if so, the next `blotter audit trim` says it in the log"})
	}
	return err
}

// checkArchive: the archive has all of its objects, and, where that is asked for, is as it was
// signed. One that is needed to read the beginning of the log ends the look.
func (l *look) checkArchive(ctx context.Context, first, archived uint64) error {
	if l.deps.Spans != nil && archived > 0 {
		err := l.deps.Spans(ctx)
		if err != nil && (first > 1 || !l.unreadable(err)) {
			return fmt.Errorf("look at the objects of the archive: %w", err)
		}
		if err != nil {
			return nil // proving it would tell the same
		}
	}
	if l.deps.Prove == nil {
		return nil
	}
	if err := l.deps.Prove(ctx); err != nil && !l.unreadable(err) {
		return fmt.Errorf("prove the archive of the log: %w", err)
	}
	return nil
}

// noteArchive tells of a log that should have been archived by now.
func (l *look) noteArchive(ctx context.Context, first uint64, what string) error {
	return read(ctx, l.deps.Log, eventlog.Filter{FromSeq: first, UntilSeq: first}, func(r eventlog.Record) {
		if time.Since(r.Stored) < 2*archive.DefaultConfig().MaxAge {
			return
		}
		l.add(Finding{Kind: ArchiveNone, Note: true, Detail: fmt.Sprintf("%s: nothing proves that it is as it was written from sequence %d on", what, first),
			Do: "`blotter audit archive` archives it now, or says why not; if it was archived before, restore the archive first"})
	})
}

// checkWhole: the stream holds every event between its first and its last.
func (l *look) checkWhole(ctx context.Context) error {
	err := l.deps.Log.Whole(ctx)
	var missing *eventlog.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	l.missing = missing
	told := uint64(0)
	for _, s := range missing.Spans {
		told += s.Last - s.First + 1
		l.add(Finding{Kind: LogEventMissing, Object: "event " + s.String(),
			Detail: "the server does not give it: its files were damaged or altered",
			Do:     "stop the system, and restore the stream from a backup; `blotter audit verify --against` tells what of it is archived, and what the archive holds of it"})
	}
	if more := missing.Events - told; more > 0 {
		l.report.More[LogEventMissing] += int(more) //nolint:gosec // at most as many as there are events
	}
	return nil
}

// unreadable takes for a finding that the beginning of the log cannot be read.
func (l *look) unreadable(err error) bool {
	var wrong *archive.Wrong
	kind, do := "", ""
	switch {
	case errors.As(err, &wrong):
		kind, do = ArchiveChanged, "`blotter audit verify` tells all of it; put a copy of the archive in its place, and look again: where the log begins in the archive, no table is looked at without it"
	case errors.Is(err, eventlog.ErrGone), errors.Is(err, archive.ErrEmpty):
		kind, do = LogEventsGone, "restore the archive (--audit) or the log from a copy, then look again: no table can be looked at without them"
	default:
		return false
	}
	l.id = dms.LogTable
	f := Finding{Kind: kind, Detail: err.Error(), Do: do}
	if wrong != nil {
		f.Object = wrong.Object
	}
	l.add(f)
	return true
}
