package lake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// The steps of maintenance, in the order in which they are due. They are the
// strategies of the snapshots that they make.
const (
	MaintainCompact   = "compact"   // data files merged, or written anew without their deleted rows
	MaintainDeletes   = "deletes"   // position deletes merged; those that hide nothing dropped
	MaintainManifests = "manifests" // manifests merged
	MaintainExpire    = "expire"    // old snapshots forgotten
	MaintainOrphans   = "orphans"   // objects removed that nothing refers to
	MaintainNone      = "none"      // nothing was due
)

// Maintained is what one step of maintenance did.
type Maintained struct {
	Step string `json:"step"`
	// Removed and Added count what the step left out and put in: data files, delete
	// files, manifests, snapshots or objects, as the step has it.
	Removed      int64 `json:"removed"`
	Added        int64 `json:"added"`
	BytesRemoved int64 `json:"bytes_removed"`
	BytesAdded   int64 `json:"bytes_added"`
	// More: another step is due, as of when Maintain returned. Next is when one will
	// be by the passing of time alone; zero if never. Neither is kept in the table.
	More bool      `json:"-"`
	Next time.Time `json:"-"`
}

// Maintain takes the first step of maintenance that is due, by the thresholds of
// MaintenanceConfig, in one commit that carries the token. Rows stay as they are.
// Once orphans are removed, a change of the table's properties says so.
// Where nothing is due it commits an empty snapshot, so that the token is used
// up. It may be repeated, and called by many at once: for one token there is one
// commit, and every call gives its Result, with Maintained set.
//
// Errors: ErrStale if a newer token is there, or this one was fenced or published; ErrSetBack;
// ErrBusy as in Publish; any other may pass, or lies in the table.
func (l *Lake) Maintain(ctx context.Context, spec registry.Table, turn Turn) (Result, error) {
	if turn.Token == 0 {
		return Result{}, fmt.Errorf("maintain %s: token is missing", spec.ID)
	}
	r, err := l.attempt(ctx, spec.ID, func() (Result, error) { return l.maintainOnce(ctx, spec, turn) })
	if err != nil {
		return Result{}, fmt.Errorf("maintain %s, token %d: %w", spec.ID, turn.Token, err)
	}
	return r, nil
}

func (l *Lake) maintainOnce(ctx context.Context, spec registry.Table, turn Turn) (Result, error) {
	tbl, err := l.loadAfter(ctx, spec, turn.after())
	if err != nil {
		return Result{}, err
	}
	state, err := readState(tbl.Properties())
	if err != nil {
		return Result{}, err
	}
	token := turn.Token
	if r, done, err := state.maintained(token); done {
		return l.again(ctx, spec, r, err)
	}
	if err := state.follows(tbl, turn); err != nil {
		return Result{}, err
	}
	u, err := l.look(ctx, tbl, spec.ID)
	if err != nil {
		return Result{}, err
	}
	r, err := u.take(ctx, token)
	if errors.Is(err, errAgain) {
		after, readErr := u.undo(ctx)
		if readErr != nil {
			return Result{}, readErr
		}
		if r, done, fault := after.maintained(token); done {
			return l.again(ctx, spec, r, fault)
		}
	}
	if err != nil {
		return Result{}, err
	}
	return l.tellMore(ctx, spec, r)
}

// maintained is decided for a step of maintenance: the token may have been
// published.
func (s tableState) maintained(token uint64) (Result, bool, error) {
	r, done, err := s.decided(token)
	if err == nil && done && r.Maintained == nil {
		return Result{}, true, ErrStale
	}
	return r, done, err
}

// take carries out the step that is due and commits it.
func (u *upkeep) take(ctx context.Context, token uint64) (Result, error) {
	u.req.Token = token
	stages := map[string]func(context.Context, *table.Transaction, *Maintained) (iceberg.Properties, error){
		MaintainCompact: u.stageCompact, MaintainDeletes: u.stageDeletes, MaintainManifests: u.stageManifests,
		MaintainExpire: u.stageExpire, MaintainOrphans: u.stageOrphans, MaintainNone: u.stageNone,
	}
	m := &Maintained{Step: MaintainNone}
	if due := u.due(); len(due) > 0 {
		m.Step = due[0].Step
	}
	u.strategy = m.Step
	tx, err := pin(u.tbl)
	if err != nil {
		return Result{}, err
	}
	extra, err := stages[m.Step](ctx, tx, m)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", m.Step, err)
	}
	result := Result{Token: token, Strategy: m.Step, TableRows: u.state.last.TableRows, RowsHash: u.state.rowsNow(u.tbl).String(), Maintained: m}
	if err := setState(tx, &result, u.state.tombstones, extra); err != nil {
		return Result{}, err
	}
	u.snapshotID = result.SnapshotID
	if err := u.lake.step(StepStaged); err != nil {
		return Result{}, err
	}
	if err := u.commitStep(ctx, tx); err != nil {
		return Result{}, commitFailed(err)
	}
	if err := u.lake.step(StepCommitted); err != nil {
		return Result{}, err
	}
	return result, u.removeSwept(ctx, token)
}

// commitStep commits a staged step, with the changes to it that iceberg-go's
// transactions do not know.
func (u *upkeep) commitStep(ctx context.Context, tx *table.Transaction) error {
	if u.edit == nil {
		_, err := tx.Commit(ctx)
		return err
	}
	commit, err := tx.TableCommit()
	if err != nil {
		return err
	}
	_, _, err = u.lake.catalog.CommitTable(ctx, commit.Identifier, commit.Requirements, u.edit(commit.Updates))
	return err
}

func (u *upkeep) summary() iceberg.Properties { return summaryOf(u.req.Token, u.strategy, 0) }

func (u *upkeep) stageNone(ctx context.Context, tx *table.Transaction, _ *Maintained) (iceberg.Properties, error) {
	return nil, stageEmpty(ctx, tx, u.summary())
}

// again completes a step whose commit is there: a crash may have come between the
// commit and the removal of orphans.
func (l *Lake) again(ctx context.Context, spec registry.Table, r Result, fault error) (Result, error) {
	if fault != nil {
		return Result{}, fault
	}
	if r.Maintained.Step == MaintainOrphans {
		if err := l.removeLeft(ctx, spec.ID, r.Token); err != nil {
			return Result{}, err
		}
	}
	return l.tellMore(ctx, spec, r)
}

// removeLeft removes the orphans of a step that may have left some, searching for
// them again.
func (l *Lake) removeLeft(ctx context.Context, id dms.TableID, token uint64) error {
	u, err := l.lookAt(ctx, id)
	if err != nil || u.state.orphans.Removing == 0 {
		return err
	}
	if u.state.token != token {
		return ErrStale
	}
	if u.swept, err = u.sweepFolders(ctx); err != nil {
		return err
	}
	return u.removeSwept(ctx, token)
}

// tellMore adds to the result of a step whether more is due.
func (l *Lake) tellMore(ctx context.Context, spec registry.Table, r Result) (Result, error) {
	u, err := l.lookAt(ctx, spec.ID)
	if err != nil {
		return Result{}, err
	}
	m := *r.Maintained
	m.More, m.Next = len(u.due()) > 0, u.next()
	r.Maintained = &m
	return r, nil
}
