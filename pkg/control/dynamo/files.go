package dynamo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// File implements control.Store.
func (s *Store) File(ctx context.Context, table dms.TableID, id dms.FileID) (control.FileRow, error) {
	row, err := s.file(ctx, table, id)
	if err != nil {
		return control.FileRow{}, fmt.Errorf("load file %s of table %s: %w", id, table, err)
	}
	return row, nil
}

func (s *Store) file(ctx context.Context, table dms.TableID, id dms.FileID) (control.FileRow, error) {
	if err := s.settle(ctx, table); err != nil {
		return control.FileRow{}, err
	}
	item, err := s.get(ctx, tablePK(table), fileSK(id))
	if err != nil {
		return control.FileRow{}, err
	}
	return fileRow(item)
}

// LiveFiles implements control.Store.
func (s *Store) LiveFiles(ctx context.Context, table dms.TableID) ([]control.FileRow, error) {
	rows, err := s.files(ctx, table, ranged{index: indexLive, key: attrByLive, from: " ", to: last})
	if err != nil {
		return nil, fmt.Errorf("list live files of table %s: %w", table, err)
	}
	slices.SortFunc(rows, byOrder)
	return rows, nil
}

// PublishedChanges implements control.Store.
func (s *Store) PublishedChanges(ctx context.Context, table dms.TableID, since time.Time) ([]control.FileRow, error) {
	from, err := stamp(since)
	var rows []control.FileRow
	if err == nil {
		rows, err = s.files(ctx, table, ranged{index: indexPublished, key: attrByPublished, from: from, to: last})
	}
	if err != nil {
		return nil, fmt.Errorf("list published change files of table %s: %w", table, err)
	}
	slices.SortFunc(rows, byOrder)
	return rows, nil
}

// Files implements control.Store.
func (s *Store) Files(ctx context.Context, table dms.TableID, states []string, limit int) ([]control.FileRow, error) {
	asked := []ranged{{index: indexOrder, key: attrByOrder, from: "\x00", to: last}}
	if len(states) > 0 {
		asked = nil
		for _, state := range slices.Compact(slices.Sorted(slices.Values(states))) {
			asked = append(asked, ranged{index: indexState, key: attrByState, from: state + sep, to: state + sep + last})
		}
	}
	var rows []control.FileRow
	for _, r := range asked {
		r.down, r.limit = true, limit
		some, err := s.files(ctx, table, r)
		if err != nil {
			return nil, fmt.Errorf("list files of table %s: %w", table, err)
		}
		rows = append(rows, some...)
	}
	slices.SortFunc(rows, func(a, b control.FileRow) int { return byOrder(b, a) })
	return rows[:min(limit, len(rows))], nil
}

// FilesByID implements control.Store.
func (s *Store) FilesByID(ctx context.Context, table dms.TableID, begin string, limit int) ([]control.FileRow, error) {
	rows, err := s.files(ctx, table, ranged{key: attrSK, from: fileSK(dms.FileID(begin)), to: fileSK(dms.FileID(begin)) + last, limit: limit})
	if err != nil {
		return nil, fmt.Errorf("list files of table %s by id: %w", table, err)
	}
	return rows, nil
}

func byOrder(a, b control.FileRow) int {
	return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
}

func (s *Store) files(ctx context.Context, table dms.TableID, r ranged) ([]control.FileRow, error) {
	if err := s.settle(ctx, table); err != nil {
		return nil, err
	}
	r.pk = tablePK(table)
	var keys []itemKey
	var items []map[string]types.AttributeValue
	err := s.query(ctx, r, func(item map[string]types.AttributeValue) error {
		f := fields{item: item}
		keys, items = append(keys, itemKey{f.text(attrPK), f.text(attrSK)}), append(items, item)
		return f.err
	})
	if err == nil && r.index != "" && r.index != indexLive { // the others hold keys only
		items, err = s.batch(ctx, keys)
	}
	if err != nil {
		return nil, err
	}
	rows := make([]control.FileRow, len(items))
	for i, item := range items {
		if rows[i], err = fileRow(item); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
