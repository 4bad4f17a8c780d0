package roles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// ErrStoreBehind: the log tells of more than the control store knows. A process refuses to go
// on with that, as with eventlog.ErrSetBack, the other way round: what it would do contradicts
// what was done.
var ErrStoreBehind = errors.New("the control store was lost or set back")

// parallelTables bounds the tables that are compared at once.
const parallelTables = 16

// agree refuses to run lock-manager on a log and a control store that are not of one
// moment. lock-manager writes a table's state first, with the events of it beside, and
// then says them: the log has all versions but those whose events wait there, and never
// more. Another replica may go on meanwhile.
func (p *Process) agree(ctx context.Context) error {
	if !p.cfg.wants(lockmanager.ServiceName) {
		return nil
	}
	tables, err := p.Log.Tables(ctx, lockmanager.ServiceName)
	if err != nil {
		return err
	}
	known, err := p.Store.Tables(ctx)
	if err != nil {
		return fmt.Errorf("list the tables of the control store: %w", err)
	}
	for _, id := range known {
		tables[id] = true
	}
	var mu sync.Mutex
	var apart []error
	var group errgroup.Group
	group.SetLimit(parallelTables)
	for id := range tables {
		group.Go(func() error {
			differs, err := p.agreeOn(ctx, id)
			if differs != nil {
				mu.Lock()
				apart = append(apart, differs)
				mu.Unlock()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || len(apart) == 0 {
		return err
	}
	slices.SortFunc(apart, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return fmt.Errorf("of %d tables log and control store are not of one moment; the first: %w", len(apart), apart[0])
}

// looks is how often a table is looked at that does not agree, and lookAgain how long is
// waited between: the log may be trimmed, and a server that starts fail to read.
const (
	looks     = 3
	lookAgain = time.Second
)

// agreeOn tells how log and control store differ on a table.
func (p *Process) agreeOn(ctx context.Context, id dms.TableID) (differs, err error) {
	for look := range looks {
		if look > 0 {
			select {
			case <-time.After(lookAgain):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if differs, err = p.agreeOnce(ctx, id); err != nil || differs == nil {
			return nil, err
		}
	}
	return differs, nil
}

func (p *Process) agreeOnce(ctx context.Context, id dms.TableID) (differs, err error) {
	item, published, err := p.published(ctx, id)
	if err != nil {
		return nil, err
	}
	said, err := p.Log.End(ctx, id, lockmanager.ServiceName)
	if err != nil {
		return nil, err
	}
	first, _, err := p.Log.Bounds(ctx) // after the end, which may be trimmed before
	switch {
	case err != nil:
		return nil, err
	case said < published && (said > 0 || first == 1):
		return fmt.Errorf("%w: %s is at version %d of its state, and %d were said; the log tells of %d. Restore the log from a backup; "+
			"a new system begins with a folder of its own", eventlog.ErrSetBack, id, item.Version, published, said), nil
	case said <= item.Version:
		return nil, nil
	}
	if item, _, err = p.published(ctx, id); err != nil || said <= item.Version {
		return nil, err
	}
	return fmt.Errorf("%w: the log tells of version %d of %s, the store is at %d. Restore the store from a backup, or move away what is left of it "+
		"and write it anew from the log: blotter replay --rebuild", ErrStoreBehind, said, id, item.Version), nil
}

// published gives the item of a table, and up to which version its events were said.
func (p *Process) published(ctx context.Context, id dms.TableID) (item control.TableItem, version uint64, err error) {
	item, err = p.Store.Table(ctx, id)
	if errors.Is(err, control.ErrNotFound) {
		return item, 0, nil
	}
	if err != nil {
		return item, 0, fmt.Errorf("read the state of %s: %w", id, err)
	}
	version = item.Version
	for _, b := range item.Outbox {
		e, err := eventlog.Decode(b)
		if err != nil {
			return item, 0, fmt.Errorf("read the outbox of %s: %w", id, err)
		}
		if v := e.GetVersion(); v > 0 {
			version = min(version, v-1)
		}
	}
	return item, version, nil
}

// agreeWithArchive refuses to go on with a log that is not the one that is archived. What
// else keeps it from looking, the keeper tells.
func (p *Process) agreeWithArchive(ctx context.Context, w *archive.Writer) error {
	if _, err := w.Head(ctx); errors.Is(err, archive.ErrOtherLog) {
		return fmt.Errorf("%w: %w; restore the log from a backup; a new system has an archive of its own (--audit)", eventlog.ErrSetBack, err)
	}
	return nil
}
