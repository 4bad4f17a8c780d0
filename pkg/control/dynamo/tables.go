package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// loadTries bounds how often an item is read again whose parts are gone: it was
// replaced between the two reads.
const loadTries = 10

// Table implements control.Store.
func (s *Store) Table(ctx context.Context, table dms.TableID) (control.TableItem, error) {
	var item control.TableItem
	err := errPartGone
	for try := 0; try < loadTries && errors.Is(err, errPartGone); try++ {
		item, err = s.loadTable(ctx, table)
	}
	if err != nil {
		return control.TableItem{Table: table}, fmt.Errorf("load table %s: %w", table, err)
	}
	return item, nil
}

func (s *Store) loadTable(ctx context.Context, table dms.TableID) (control.TableItem, error) {
	stored, err := s.get(ctx, tablePK(table), stateSK)
	if err != nil {
		return control.TableItem{}, err
	}
	f := fields{item: stored}
	item := control.TableItem{Table: table, Version: f.unsigned(attrVersion), State: f.bytes(attrState), Outbox: f.list(attrOutbox)}
	tag, state, outbox := f.text(attrTag), int(f.unsigned(attrStateParts)), int(f.unsigned(attrOutboxParts))
	if f.err != nil {
		return item, f.err
	}
	if state > 0 {
		if item.State, err = s.allParts(ctx, table, item.Version, tag, partState, state); err != nil {
			return item, err
		}
	}
	if outbox > 0 {
		all, err := s.allParts(ctx, table, item.Version, tag, partOutbox, outbox)
		if err != nil {
			return item, err
		}
		if item.Outbox, err = splitEvents(all); err != nil {
			return item, err
		}
	}
	return item, nil
}

// Tables implements control.Store.
func (s *Store) Tables(ctx context.Context) ([]dms.TableID, error) {
	return s.tableIDs(ctx, "list tables", tablesPK)
}

// Unflushed implements control.Store.
func (s *Store) Unflushed(ctx context.Context) ([]dms.TableID, error) {
	return s.tableIDs(ctx, "list tables with events to publish", outboxPK)
}

func (s *Store) tableIDs(ctx context.Context, doing, pk string) ([]dms.TableID, error) {
	var ids []dms.TableID
	err := s.query(ctx, ranged{pk: pk, key: attrSK, from: " ", to: last}, func(item map[string]types.AttributeValue) error {
		f := fields{item: item}
		ids = append(ids, dms.TableID{DB: f.text(attrDB), Table: f.text(attrTable)})
		return f.err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	slices.SortFunc(ids, func(a, b dms.TableID) int {
		if c := strings.Compare(a.DB, b.DB); c != 0 {
			return c
		}
		return strings.Compare(a.Table, b.Table)
	})
	return ids, nil
}

// Spec implements control.Store.
func (s *Store) Spec(ctx context.Context, table dms.TableID, version uint64) (control.Spec, error) {
	r := ranged{pk: tablePK(table), key: attrSK, from: specSK(version), to: specSK(version), limit: 1}
	if version == 0 { // the newest: the highest there is
		r.to, r.down = "SPEC#"+last, true
	}
	spec, found := control.Spec{}, false
	err := s.query(ctx, r, func(item map[string]types.AttributeValue) error {
		f := fields{item: item}
		spec, found = control.Spec{Version: f.unsigned(attrVersion), JSON: f.bytes(attrData)}, true
		return f.err
	})
	if err == nil && !found {
		err = control.ErrNotFound
	}
	if err != nil {
		return control.Spec{}, fmt.Errorf("load registration %d of table %s: %w", version, table, err)
	}
	return spec, nil
}
