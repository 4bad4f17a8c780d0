package fsck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/replay"
)

// Deps are what is looked at; nothing is changed.
type Deps struct {
	Log             Log
	Control         control.Store
	Objects         control.Objects // nil: what ingest-router knows is not looked at
	Hold            holdqueue.Queue
	Raw             objects.Bucket
	Staging, Failed objects.Bucket
	Lake            *lake.Lake // nil: nothing was published yet
	// Kept is the newest checkpoint that is known of the archive; nil: none is.
	Kept *archive.Checkpoint
	// KeptFault says why a checkpoint that was kept cannot be checked.
	KeptFault error
	// Prove proves the archive, whose error is *archive.Wrong where it is not as it was signed;
	// nil: it is not read.
	Prove func(ctx context.Context) error
	// Spans looks whether the archive has all of its objects, and does not read them; its error
	// is *archive.Wrong if not. nil: nobody looks.
	Spans func(ctx context.Context) error
	// Gaps gives what the archive has signed as missing in the log; nil: nobody knows.
	Gaps func(ctx context.Context) ([]eventlog.Span, error)
	// Rebuilding is the file of a control store that was to be written anew, and that did not
	// come to its end; empty: there is none.
	Rebuilding string
	// Bytes: what lies in the buckets is read, and held to the hashes in the log.
	Bytes bool
	// Repair mends what can be mended; nil: nothing is.
	Repair Repairer
}

// look is one look at everything.
type look struct {
	deps   Deps
	report *Report
	listed map[string]int // findings by kind and table
	id     dms.TableID
	facts  *facts
	state  *lockmanager.State // as the control store has it; nil if it has none
	staged map[attempt][]string
	lake   *inLake
	// missing is what the log lacks between its first and its last event; nil: nothing.
	missing *eventlog.MissingError
}

// Run looks at the log as a whole, and at one table, or at all if only is zero. Where
// what was trimmed of the log cannot be read, that is a finding, and the last one.
func Run(ctx context.Context, deps Deps, only dms.TableID) (*Report, error) {
	deps.Control = legible{deps.Control}
	l := &look{deps: deps, report: &Report{Findings: []*Finding{}, More: map[string]int{}}, listed: map[string]int{}}
	err := l.run(ctx, only)
	if l.unreadable(err) {
		err = nil
	}
	if err == nil {
		err = l.advise(ctx)
	}
	return l.report, err
}

func (l *look) run(ctx context.Context, only dms.TableID) error {
	if err := l.checkLog(ctx); err != nil {
		return err
	}
	if l.deps.Rebuilding != "" {
		l.id = dms.LogTable
		l.add(Finding{Kind: ControlUnfinished, Object: l.deps.Rebuilding, Detail: "the control store was to be written anew from the log, and that did not come to its end",
			Do: "with the system stopped, run it again: `blotter replay --rebuild`"})
	}
	tables := []dms.TableID{only}
	if only.IsZero() {
		var err error
		if tables, err = l.tables(ctx); err != nil {
			return err
		}
		if err := l.checkUnowned(ctx); err != nil {
			return err
		}
	}
	for _, id := range tables {
		l.id = id
		if err := l.table(ctx); errors.Is(err, control.ErrValue) {
			l.add(Finding{Kind: ControlUnreadable, Detail: err.Error(), Do: "the table is looked at no further, and `blotter up` does not go on with it; restore the control store from a backup, or " + anew})
		} else if err != nil {
			return fmt.Errorf("look at %s: %w", id, err)
		}
		l.report.Tables++
	}
	return nil
}

// tables lists those of the control store and those that are in the log alone.
func (l *look) tables(ctx context.Context) ([]dms.TableID, error) {
	reports, err := l.replay(ctx, dms.TableID{})
	if errors.Is(err, control.ErrValue) { // told of its table
		return l.deps.Control.Tables(ctx)
	}
	if err != nil {
		return nil, err
	}
	ids := make([]dms.TableID, len(reports))
	for i, r := range reports {
		ids[i] = r.Table
	}
	return ids, nil
}

// replay folds what there is of the log; what lacks is told of the log as a whole.
func (l *look) replay(ctx context.Context, only dms.TableID) ([]replay.Report, error) {
	reports, err := replay.Check(ctx, l.deps.Log, l.deps.Control, only)
	if missing := new(eventlog.MissingError); errors.As(err, &missing) {
		err = nil
	}
	return reports, err
}

// add takes in a finding.
func (l *look) add(f Finding) {
	f.Table = l.id
	f.Repairable = f.repair != nil
	key := f.Kind + " " + l.id.String()
	if l.listed[key]++; l.listed[key] > maxListed {
		if !f.Note {
			l.report.More[f.Kind]++
		}
		return
	}
	l.report.Findings = append(l.report.Findings, &f)
}

// table looks at one table; the order matters, see the package.
func (l *look) table(ctx context.Context) (err error) {
	if l.staged, err = l.listStaged(ctx); err != nil {
		return err
	}
	if l.lake, err = l.lookAtLake(ctx); err != nil {
		return err
	}
	if l.facts, err = readFacts(ctx, l.deps.Log, l.id); err != nil {
		return err
	}
	l.report.Events += l.facts.events
	if l.state, err = l.readState(ctx); err != nil {
		return err
	}
	for _, check := range []func(context.Context) error{
		l.checkControl, l.checkStored, l.checkEvents, l.checkFiles, l.checkHold, l.checkInputs, l.checkStaged, l.checkLake, l.checkRows,
		l.checkFailed, l.checkBytes,
	} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readState loads the state with its live files, as lock-manager does.
func (l *look) readState(ctx context.Context) (*lockmanager.State, error) {
	item, err := l.deps.Control.Table(ctx, l.id)
	if errors.Is(err, control.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read its state: %w", err)
	}
	state, err := lockmanager.DecodeState(item.State)
	if err != nil {
		return nil, err
	}
	rows, err := l.deps.Control.LiveFiles(ctx, l.id)
	if err != nil {
		return nil, fmt.Errorf("read its files: %w", err)
	}
	for _, row := range rows {
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			return nil, err
		}
		state.Files[f.ID] = f
	}
	return state, nil
}

// checkControl: the log folds to the control state.
func (l *look) checkControl(ctx context.Context) error {
	reports, err := l.replay(ctx, l.id)
	if err != nil {
		return err
	}
	for _, r := range reports {
		if r.Moving {
			l.add(Finding{Kind: TableBusy, Note: true, Detail: "the table changed each time while it was looked at", Do: "look again"})
		}
		for _, b := range r.Breaks {
			l.add(Finding{Kind: LogBroken, Object: fmt.Sprintf("event %d", b.Seq), Detail: b.Detail,
				Do: fmt.Sprintf("`blotter log '%s'` shows what is there; restore the log from a backup", l.id)})
		}
		if len(r.Differences) > 0 {
			d := r.Differences[0]
			l.add(Finding{Kind: ControlDiffers, Detail: fmt.Sprintf("%d differences, the first of them %s", len(r.Differences), d.What),
				Do: fmt.Sprintf("`blotter replay '%s'` lists them; if the log is the newer one and whole, %s", l.id, anew)})
		}
	}
	return nil
}

func saidKey(what string, token uint64) string { return what + " " + strconv.FormatUint(token, 10) }

// checkEvents: what lock-manager took for said was said.
func (l *look) checkEvents(context.Context) error {
	for _, r := range l.facts.released {
		if !l.facts.said[saidKey(r.what, r.token)] {
			l.add(Finding{Kind: LogEventMissing, Object: fmt.Sprintf("event %d", r.seq),
				Detail: fmt.Sprintf("token %d was released as %s, and the curator never said so", r.token, r.what),
				Do:     "restore the log from a backup: it is not whole"})
		}
	}
	l.checkPublications()
	for _, a := range l.facts.again {
		l.add(Finding{Kind: LogEventTwice, Note: true, FileID: a.file, Object: a.key,
			Detail: fmt.Sprintf("the file arrived before, and is told of as new again at sequence %d: the control store did not know the object then", a.seq),
			Do:     "find out who took its row away or put back an older store; the file itself was taken once"})
	}
	for _, id := range slices.Sorted(maps.Keys(l.facts.accepted)) {
		if !l.facts.arrived[id] {
			l.add(Finding{Kind: LogEventMissing, FileID: id, Detail: "the file was accepted, and its arrival is not in the log",
				Do: "restore the log from a backup: it is not whole"})
		}
	}
	return nil
}

// checkFiles: something releases every file that waits.
func (l *look) checkFiles(context.Context) error {
	if l.state == nil {
		return nil
	}
	for _, f := range l.state.Stuck() {
		l.add(Finding{Kind: FileStuck, FileID: f.ID, Object: f.Object.Key, Detail: fmt.Sprintf("the file is %s, and nothing will release it", f.Status),
			Do: fmt.Sprintf("`blotter replay '%s'` tells whether the control store is as the log says; if it is not, %s", l.id, anew)})
	}
	if load := l.state.Load; load != nil && !load.Sealed && l.state.QuietPeriod == 0 && l.state.Pause == nil {
		l.add(Finding{Kind: LoadWaits, Note: true, Detail: "a load is open that no quiet period seals",
			Do: fmt.Sprintf("`blotter load complete '%s'` once all of it has come", l.id)})
	}
	return nil
}

// listStaged lists what is staged of the table, by file and token.
func (l *look) listStaged(ctx context.Context) (map[attempt][]string, error) {
	staged := map[attempt][]string{}
	prefix := strings.TrimSuffix(transform.StagePrefix(l.id, "x", 1), "x/1/")
	for info, err := range l.deps.Staging.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list what is staged: %w", err)
		}
		a := attempt{}
		if parts := strings.Split(strings.TrimPrefix(info.Key, prefix), "/"); len(parts) == 3 {
			if token, err := strconv.ParseUint(parts[1], 10, 64); err == nil {
				a = attempt{dms.FileID(parts[0]), token}
			}
		}
		staged[a] = append(staged[a], info.Key)
	}
	return staged, nil
}

// checkStaged: every staged file was asked for.
func (l *look) checkStaged(ctx context.Context) error {
	left, leftBytes := 0, 0
	var old []string
	attempts := slices.SortedFunc(maps.Keys(l.staged), func(a, b attempt) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.token, b.token))
	})
	for _, a := range attempts {
		keys := l.staged[a]
		if !l.facts.granted[a] {
			f := Finding{Kind: StagedUnknown, FileID: a.file, Object: keys[0],
				Detail: fmt.Sprintf("%d staged objects that no grant of the log asked for", len(keys)),
				Do:     "find out who wrote them; nothing reads them, and --repair removes them"}
			if l.deps.Repair != nil {
				f.repair = func(ctx context.Context) (string, error) { return l.deps.Repair.Unstage(ctx, keys) }
			}
			l.add(f)
			continue
		}
		over, err := l.isOver(ctx, a)
		if err != nil {
			return err
		}
		if over {
			left += len(keys)
			leftBytes++
			old = append(old, keys...)
		}
	}
	if left > 0 {
		f := Finding{Kind: StagedLeft, Note: true, Object: old[0],
			Detail: fmt.Sprintf("%d staged objects of %d grants that ended otherwise", left, leftBytes),
			Do:     "nothing reads them; --repair removes them"}
		if l.deps.Repair != nil {
			f.repair = func(ctx context.Context) (string, error) { return l.deps.Repair.Unstage(ctx, old) }
		}
		l.add(f)
	}
	return nil
}

// isOver reports whether nothing can need an attempt any more: the file has ended with
// the output of another one, and no transaction runs.
func (l *look) isOver(ctx context.Context, a attempt) (bool, error) {
	if l.state == nil || l.state.Grant != nil {
		return false, nil
	}
	row, err := l.deps.Control.File(ctx, l.id, a.file)
	if errors.Is(err, control.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read file %s: %w", a.file, err)
	}
	f, err := lockmanager.DecodeFile(row.Body)
	if err != nil {
		return false, err
	}
	ended := f.Status == lockmanager.Published || f.Status == lockmanager.Split
	return ended && f.Staged != nil && f.Staged.Token != a.token, nil
}
