package roles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Settle looks this often, and less often the longer it has waited: each look asks
// for the state of every consumer of the log.
const (
	settlePoll    = 50 * time.Millisecond
	maxSettlePoll = time.Second
)

// Settle waits until nothing is left to do: every service has handled every
// event, and no table has a transaction under way or something unsaid. What is
// held, paused or quarantined stays so.
func (p *Process) Settle(ctx context.Context) error {
	timer := time.NewTimer(settlePoll)
	defer timer.Stop()
	for waited := time.Duration(0); ; {
		done, err := p.settled(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		wait := min(max(settlePoll, waited/20), maxSettlePoll)
		waited += wait
		timer.Reset(wait)
	}
}

// settled looks at the tables between two looks at the log: a transaction that
// began after the first look is seen by one of the others. It looks at the tables
// before it asks the consumers, too, which costs far more.
func (p *Process) settled(ctx context.Context) (bool, error) {
	if quiet, err := p.tablesQuiet(ctx); !quiet || err != nil {
		return false, err
	}
	before, err := p.Log.Last(ctx)
	if err != nil {
		return false, err
	}
	if idle, err := p.Log.Idle(ctx, Names()); !idle || err != nil {
		return false, err
	}
	if quiet, err := p.tablesQuiet(ctx); !quiet || err != nil {
		return false, err
	}
	after, err := p.Log.Last(ctx)
	return before == after, err
}

// tablesQuiet reports whether no table has a transaction under way or something
// unsaid.
func (p *Process) tablesQuiet(ctx context.Context) (bool, error) {
	unflushed, err := p.Store.Unflushed(ctx)
	if err != nil || len(unflushed) > 0 {
		return false, err
	}
	tables, err := p.Store.Tables(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range tables {
		item, err := p.Store.Table(ctx, id)
		if errors.Is(err, control.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read the state of %s: %w", id, err)
		}
		state, err := lockmanager.DecodeState(item.State)
		if err != nil {
			return false, err
		}
		if state.Grant != nil {
			return false, nil
		}
	}
	return true, nil
}

// WholeFiles tells ingest-router of what lies in the raw folder until no file in
// it is still being written.
func (p *Process) WholeFiles(ctx context.Context) error {
	for {
		if err := p.IngestRouter.Scan(ctx); err != nil {
			return err
		}
		// The files beside a load that is being written are passed over, and not counted.
		if p.Raw.Unstable() == 0 && !p.IngestRouter.Writing() {
			return nil
		}
		again := time.NewTimer(maxSettlePoll)
		select {
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		case <-p.Raw.Changes():
			again.Stop()
		case <-again.C:
		}
	}
}
