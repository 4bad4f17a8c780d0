package hammer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// CheckEvents tells where the log does not hold each event once, or lock-manager's
// not in the order of its decisions. records are the whole log.
func CheckEvents(records []eventlog.Record) (found []string) {
	seen := map[string]uint64{}
	type place struct {
		version uint64
		index   uint32
	}
	last := map[dms.TableID]place{}
	for _, r := range records {
		id := r.Envelope.GetId()
		if at, twice := seen[id]; twice {
			found = append(found, fmt.Sprintf("event %s stands in the log at %d and at %d", id, at, r.Seq))
		}
		seen[id] = r.Seq
		if r.Service != lockmanager.ServiceName {
			continue
		}
		now, before := place{r.Envelope.GetVersion(), r.Envelope.GetIndex()}, last[r.Table]
		next := now.version == before.version+1 && now.index == 0 || now.version == before.version && now.index == before.index+1
		if !next {
			found = append(found, fmt.Sprintf("%s: version %d.%d follows %d.%d at %d", r.Table, now.version, now.index, before.version, before.index, r.Seq))
		}
		last[r.Table] = now
	}
	return found
}

// CheckFold tells where the fold of lock-manager's events is not the stored state of
// a table and of each of its files.
func CheckFold(ctx context.Context, records []eventlog.Record, store control.Store, table dms.TableID) (found []string, err error) {
	tell := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	state := lockmanager.NewState(table)
	for _, r := range records {
		if r.Table == table && r.Service == lockmanager.ServiceName {
			state.Evolve(r.Envelope.GetTime().AsTime(), r.Event)
		}
	}
	item, err := store.Table(ctx, table)
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", table, err)
	}
	folded, err := state.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(folded, item.State) {
		tell("%s: the events fold to\n%s\nthe stored state is\n%s", table, folded, item.State)
	}
	if len(item.Outbox) > 0 {
		tell("%s: %d events are unsaid", table, len(item.Outbox))
	}
	rows, err := store.Files(ctx, table, nil, maxFiles)
	if err != nil {
		return nil, fmt.Errorf("read the files of %s: %w", table, err)
	}
	if len(rows) != len(state.Files) {
		tell("%s: the events tell of %d files, the store of %d", table, len(state.Files), len(rows))
	}
	for _, row := range rows {
		f := state.Files[row.FileID]
		body, err := json.Marshal(f)
		if err != nil {
			return nil, fmt.Errorf("encode a file of %s: %w", table, err)
		}
		if f == nil || !bytes.Equal(body, row.Body) {
			tell("%s: the events fold to\n%s\nthe stored file is\n%s", table, body, row.Body)
			continue
		}
		if row.State != string(f.Status) || row.Live != state.Live(f) {
			tell("%s: file %s is stored as %s (live %t), the events say %s (live %t)",
				table, row.FileID, row.State, row.Live, f.Status, state.Live(f))
		}
	}
	return found, nil
}
