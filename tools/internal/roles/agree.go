package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/services/curator"
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
	return fmt.Errorf("of %d tables log and control store do not agree; the first: %w", len(apart), apart[0])
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
		return p.logBehind(ctx, id, item.Version, published, said)
	case said <= item.Version:
		return p.vouched.inForce(ctx, id)
	}
	if item, _, err = p.published(ctx, id); err != nil || said <= item.Version {
		return nil, err // another replica goes on with it, which has compared more
	}
	if p.cfg.rebuilding() {
		return fmt.Errorf("%w: the log tells of version %d of %s, the store is at %d: writing it anew did not come to its end. Run it again: blotter replay --rebuild",
			ErrStoreBehind, said, id, item.Version), nil
	}
	return fmt.Errorf("%w: the log tells of version %d of %s, the store is at %d. Restore the store from a backup, or move away what is left of it "+
		"and write it anew from the log: blotter replay --rebuild", ErrStoreBehind, said, id, item.Version), nil
}

// logBehind tells of a log that says less than the control store. Where it lacks nothing by
// its own numbers, and its archive does not end after it, the store may be what was altered.
func (p *Process) logBehind(ctx context.Context, id dms.TableID, version, published, said uint64) (differs, err error) {
	lacks, err := p.Log.Lacks(ctx)
	if err != nil {
		return nil, err
	}
	archived, archiveErr := p.Log.Archived(ctx)
	_, last, err := p.Log.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	if lacks > 0 || archiveErr != nil || archived > last {
		return fmt.Errorf("%w: %s is at version %d of its state, and %d were said; the log tells of %d. Restore the log from a backup; "+
			"a new system begins with a folder of its own", eventlog.ErrSetBack, id, version, published, said), nil
	}
	return fmt.Errorf("%s is at version %d in the control store, by which %d were said, and the log tells of %d: either %w, or the control store alone was altered, "+
		"since the log lacks nothing by its own numbers. `blotter fsck` tells more. Restore the log from a backup if it was set back; if it is the store that was altered, "+
		"move that away and write it anew from the log: blotter replay --rebuild. A new system begins with a folder of its own", id, version, published, said, eventlog.ErrSetBack), nil
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
		if err == nil {
			_, err = e.GetEvent().UnmarshalNew()
		}
		if err != nil {
			return item, 0, fmt.Errorf("%w: an event that is still to be said of %s cannot be read: %w. %s", ErrStoreAltered, id, err, alteredDo)
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

// agreeWithLake refuses to run the curator on a lake that knows of more than the control
// store: its answers would be those of grants that the store never gave. A table that
// lacks what was committed to it is told of, and kept in SetBack: it takes no changes. One
// that cannot be read is told of, too; the others go on.
func (p *Process) agreeWithLake(ctx context.Context) error {
	if p.Lake == nil || !p.cfg.wants(curator.ServiceName) {
		return nil
	}
	tables, err := p.Store.Tables(ctx)
	if err != nil {
		return fmt.Errorf("list the tables of the control store: %w", err)
	}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(parallelTables)
	for _, id := range tables {
		group.Go(func() error {
			behind, err := AgreeWithTable(ctx, p.Store, p.Lake, id, p.logger)
			if behind != nil {
				p.logger.ErrorContext(ctx, "a table takes no changes", "table", id.String(), "error", behind)
				mu.Lock()
				p.SetBack = append(p.SetBack, id)
				mu.Unlock()
			}
			return err
		})
	}
	return group.Wait()
}

// AgreeWithTable fails with ErrStoreBehind, for good, where a table of the lake carries a
// token that the control store never granted, and gives lake.ErrSetBack as behind where it
// lacks what was committed. It reads the lake before the store, and again after it, since both go on: a
// token is granted before it is committed, and counts as committed after it.
func AgreeWithTable(ctx context.Context, store control.Store, in *lake.Lake, id dms.TableID, logger *slog.Logger) (behind, err error) {
	before, err := lakeToken(ctx, in, id)
	if err != nil {
		logger.WarnContext(ctx, "a table of the lake cannot be read", "table", id.String(), "error", err)
		return nil, ctx.Err()
	}
	item, err := store.Table(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", id, err)
	}
	state, err := lockmanager.DecodeState(item.State)
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", id, err)
	}
	if before > state.Token {
		return nil, eventlog.Permanent(fmt.Errorf("%w, and the log with it, or the store alone was altered: %s is at token %d in the lake, and %d was the last one granted by the store. "+
			"`blotter fsck` tells which: if only the store differs, move it away and write it anew from the log: blotter replay --rebuild; else restore store and log from a newer backup, "+
			"or the lake from one of that time; a new system begins with a lake of its own. What goes on from here would contradict what was published", ErrStoreBehind, id, before, state.Token))
	}
	if before >= state.Committed || state.Losses.Cover(state.Committed) && before >= state.Losses.Last().From {
		return nil, nil
	}
	after, err := lakeToken(ctx, in, id)
	if err != nil || after >= state.Committed {
		return nil, ctx.Err()
	}
	return fmt.Errorf("%w: it is at token %d, and a commit was made under token %d; `blotter fsck` tells what to do", lake.ErrSetBack, after, state.Committed), nil
}

// lakeToken gives the token of a table's last commit; 0 if there is no such table.
func lakeToken(ctx context.Context, in *lake.Lake, id dms.TableID) (uint64, error) {
	token, err := in.Token(ctx, id)
	if errors.Is(err, lake.ErrNoTable) {
		return 0, nil
	}
	return token, err
}

// lookAtLog notes in LogFault that the log lacks events: between its first and its last, or
// between the end of its archive and its first. They are lost already, and those who come
// are taken in; but nobody should learn of it by chance.
func (p *Process) lookAtLog(ctx context.Context, w *archive.Writer) error {
	lacks, err := p.Log.Lacks(ctx)
	if err != nil {
		return err
	}
	first, _, err := p.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	archived := uint64(0)
	if head, err := w.Head(ctx); err == nil && head != nil {
		archived = head.Size
	} else if err != nil && !errors.Is(err, archive.ErrNoPast) {
		return ctx.Err() // the keeper tells what is wrong with the archive
	}
	switch {
	case lacks > 0:
		p.LogFault = fmt.Sprintf("the log lacks %d events between its first and its last", lacks)
	case first > archived+1:
		p.LogFault = fmt.Sprintf("events %d to %d are in neither the log nor its archive", archived+1, first-1)
	default:
		return nil
	}
	p.logger.ErrorContext(ctx, "events of the log are lost; `blotter fsck` tells what to do", "what", p.LogFault)
	return nil
}
