package hammer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// maxRounds bounds how often an operator must act before a history is at rest.
const maxRounds = 200

// look has a process without services, which never dies, do something. A log that has no
// leader just now, since its servers restart, may not answer in time: it is asked again.
func (w *world) look(do func(*node) error) error {
	n, err := openNode(w.ctx, w.site, peaceful())
	for errors.Is(err, context.DeadlineExceeded) && w.ctx.Err() == nil {
		wait(w.ctx, startAgain)
		n, err = openNode(w.ctx, w.site, peaceful())
	}
	if err != nil {
		return err
	}
	return errors.Join(do(n), n.close())
}

// calm waits until nothing is left to do, with an operator at hand: he seals the
// loads that are open, resumes what is paused, skips what cannot be read.
func (w *world) calm() error {
	for range maxRounds {
		var acted bool
		err := w.look(func(n *node) error {
			if err := w.settle(n); err != nil {
				return err
			}
			var err error
			acted, err = w.operate(n)
			return err
		})
		if !acted || err != nil {
			return err
		}
	}
	return fmt.Errorf("an operator acted %d times, and the tables are not at rest", maxRounds)
}

// settle waits until nothing is left to do without an operator.
func (w *world) settle(n *node) error {
	err := w.poll(20*time.Millisecond, func() (bool, error) {
		ok, err := settled(w.ctx, n)
		if errors.Is(err, context.DeadlineExceeded) && w.ctx.Err() == nil {
			return false, nil // a cluster that elects its leaders answers nobody
		}
		return ok, err
	})
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return nil
}

func settled(ctx context.Context, n *node) (bool, error) {
	before, err := n.log.Last(ctx)
	if err != nil {
		return false, err
	}
	if idle, err := n.log.Idle(ctx, roles.Names()); !idle || err != nil {
		return false, err
	}
	unflushed, err := n.store.Unflushed(ctx)
	if err != nil || len(unflushed) > 0 {
		return false, err
	}
	tables, err := n.store.Tables(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range tables {
		state, err := n.state(ctx, id)
		if err != nil || state.Grant != nil {
			return false, err
		}
	}
	after, err := n.log.Last(ctx)
	return before == after, err
}

func (n *node) state(ctx context.Context, id dms.TableID) (*lockmanager.State, error) {
	item, err := n.store.Table(ctx, id)
	if errors.Is(err, control.ErrNotFound) {
		return lockmanager.NewState(id), nil
	}
	if err != nil {
		return nil, err
	}
	return lockmanager.DecodeState(item.State)
}

// operate does for each table what an operator would.
func (w *world) operate(n *node) (acted bool, err error) {
	tables, err := n.store.Tables(w.ctx)
	if err != nil {
		return false, err
	}
	for _, id := range tables {
		state, err := n.state(w.ctx, id)
		if err != nil {
			return acted, err
		}
		name, fill, err := w.remedy(n, state)
		if err != nil {
			return acted, err
		}
		if name == "" {
			continue
		}
		if _, err := w.command(name, id.String(), fill); err != nil {
			return acted, err
		}
		acted = true
	}
	return acted, nil
}

// remedy chooses the command that a table needs; none if it is at rest.
func (w *world) remedy(n *node, state *lockmanager.State) (name string, fill func(*lockmanager.CommandRequest), err error) {
	files, err := n.store.Files(w.ctx, state.Table, nil, maxFiles)
	if err != nil {
		return "", nil, err
	}
	var quarantined, late, readable int
	for _, row := range files {
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			return "", nil, err
		}
		if f.Late && row.Live {
			late++
		}
		if f.Status == lockmanager.Quarantined {
			quarantined++
			if known := w.history.find(f.Object); known == nil || !known.bad[state.Table.Table] {
				readable++
			}
		}
	}
	switch {
	case state.Pause != nil && late > 0:
		if w.history.table(state.Table.Table).reopen {
			return "load-reopen", nil, nil
		}
		return "load-ignore", nil, nil
	case state.Pause != nil && readable > 0: // a fault that was not the file's
		return "resume", func(r *lockmanager.CommandRequest) { r.Mode = string(lockmanager.ResumeRetry) }, nil
	case state.Pause != nil && quarantined > 0:
		return "resume", func(r *lockmanager.CommandRequest) { r.Mode = string(lockmanager.ResumeSkip) }, nil
	case state.Pause != nil:
		return "resume", nil, nil
	case state.Load != nil && (!state.Load.Sealed || state.Load.HeldReason != "" && !state.Load.Confirmed):
		return "load-complete", func(r *lockmanager.CommandRequest) { r.Confirm = true }, nil
	}
	return "", nil, nil
}
