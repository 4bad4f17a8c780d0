package lake

import (
	"context"
	"fmt"
	"strconv"

	"github.com/openblotter/blotter/pkg/registry"
)

// Fence makes the lake refuse a token from now on, by an empty snapshot that
// carries it; the table is created if it is not there. It may be repeated. A table that
// was set back remains one by Result.SetBackFrom, so that the fence covers up no loss but
// one that was accepted.
//
// A Result with Fenced says that nothing was and nothing will be published under
// the token. A Result without says that the token was published before, by the
// commit that it describes, or that a step of maintenance was taken: then it tells
// whether more is due, as Maintain does. ErrStale: a newer token is there, so that this one is
// dead, but whether it was published is no longer known here. ErrBusy as in
// Publish.
func (l *Lake) Fence(ctx context.Context, spec registry.Table, turn Turn) (Result, error) {
	if turn.Token == 0 {
		return Result{}, fmt.Errorf("fence %s: token is missing", spec.ID)
	}
	r, err := l.attempt(ctx, spec.ID, func() (Result, error) { return l.fenceOnce(ctx, spec, turn) })
	if err != nil {
		return Result{}, fmt.Errorf("fence %s, token %d: %w", spec.ID, turn.Token, err)
	}
	return r, nil
}

func (l *Lake) fenceOnce(ctx context.Context, spec registry.Table, turn Turn) (Result, error) {
	tbl, err := l.loadOrCreate(ctx, spec)
	if err != nil {
		return Result{}, err
	}
	state, err := readState(tbl.Properties())
	if err != nil {
		return Result{}, err
	}
	token := turn.Token
	switch {
	case state.token > token:
		return Result{}, ErrStale
	case state.token == token && state.last.Maintained != nil:
		return l.foundStep(ctx, spec, state), nil
	case state.token == token:
		return state.last, nil
	}
	tx, err := pin(tbl)
	if err != nil {
		return Result{}, err
	}
	from, to, summary := state.setBackFrom(tbl, turn), uint64(0), summaryOf(token, StrategyFence, 0)
	if from > 0 {
		to = state.carries(tbl)
		summary[SummarySetBackTo] = strconv.FormatUint(to, 10)
	}
	if err := stageEmpty(ctx, tx, summary); err != nil {
		return Result{}, err
	}
	result := Result{Token: token, Strategy: StrategyFence, TableRows: state.last.TableRows, RowsHash: state.rowsNow(tbl).String(), SetBackFrom: from, SetBackTo: to}
	if err := setState(tx, &result, state.tombstones, nil); err != nil {
		return Result{}, err
	}
	if err := l.step(StepStaged); err != nil {
		return Result{}, err
	}
	if _, err := tx.Commit(ctx); err != nil {
		return Result{}, commitFailed(err)
	}
	return result, l.step(StepCommitted)
}

// foundStep tells of a step of maintenance whose commit a fence finds. Orphans of
// which it is not known that they are gone are not told as removed: the search
// that is due counts those that are left.
func (l *Lake) foundStep(ctx context.Context, spec registry.Table, state tableState) Result {
	found := state.last
	m := *found.Maintained
	if m.Step == MaintainOrphans && state.orphans.Removing > 0 {
		m.Removed, m.BytesRemoved = 0, 0
	}
	found.Maintained = &m
	r, err := l.tellMore(ctx, spec, found)
	if err != nil {
		// A fence must not fail for it; the next step will say what is wrong.
		l.log.WarnContext(ctx, "look for more that is due", "table", spec.ID.String(), "error", err)
		m.More = true
		return found
	}
	return r
}
