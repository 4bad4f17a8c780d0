package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/control"
)

var _ control.Restorer = (*Store)(nil)

// restoreAtOnce is how many rows one call writes; DynamoDB allows 100 items and 4 MB.
const restoreAtOnce = 20

// Restore implements control.Restorer. Files and registrations are written first: the
// table is not there before its STATE is, and nobody looks for them.
func (s *Store) Restore(ctx context.Context, r control.Restored) error {
	if r.Table.IsZero() || r.Version == 0 {
		return errors.New("restore: no table or no version is named")
	}
	fail := func(err error) error {
		return fmt.Errorf("restore version %d of table %s: %w", r.Version, r.Table, err)
	}
	switch _, err := s.Table(ctx, r.Table); {
	case err == nil:
		return fail(control.ErrConflict)
	case !errors.Is(err, control.ErrNotFound):
		return fail(err)
	}
	w, err := s.plan(control.Change{Table: r.Table, Expect: r.Version - 1, State: r.State})
	if err != nil {
		return fail(err)
	}
	w.restores = true
	var items []types.TransactWriteItem
	for _, f := range r.Files {
		if n := rowSize(f); n > maxRow {
			return fail(fmt.Errorf("the row of file %s takes %d bytes, %d are allowed", f.FileID, n, maxRow))
		}
		item, err := fileItem(r.Table, f)
		if err != nil {
			return fail(err)
		}
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: item}})
	}
	for _, spec := range r.Specs {
		item := key(tablePK(r.Table), specSK(spec.Version))
		item[attrVersion], item[attrData] = number(spec.Version), binaryOf(spec.JSON)
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: item}})
	}
	for some := range slices.Chunk(items, restoreAtOnce) {
		if err := s.transact(ctx, some); err != nil {
			return fail(err)
		}
	}
	if err := w.commit(ctx); err != nil {
		return fail(err)
	}
	return nil
}
