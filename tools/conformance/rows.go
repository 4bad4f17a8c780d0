package main

import (
	"context"
	"errors"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/tools/internal/cases"
)

// Rows reads a table back through the catalog.
func (l *local) Rows(ctx context.Context, table dms.TableID) (cases.Rows, error) {
	set, err := l.process.Lake.Rows(ctx, table)
	if errors.Is(err, lake.ErrNoTable) {
		return l.noRows(ctx, table)
	}
	if err != nil {
		return cases.Rows{}, err
	}
	var rows cases.Rows
	for _, c := range set.Columns {
		rows.Columns = append(rows.Columns, c.Name)
	}
	rows.Seq = func(yield func([]cases.Cell, error) bool) {
		cells := make([]cases.Cell, len(set.Columns))
		for row, err := range set.All(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			for i, v := range row.Values {
				cells[i] = cases.Cell{Null: v.IsNull(), Text: lake.FormatValue(set.Columns[i].Type, v)}
			}
			if !yield(cells, nil) {
				return
			}
		}
	}
	return rows, nil
}

// noRows gives a table that was never published.
func (l *local) noRows(ctx context.Context, table dms.TableID) (cases.Rows, error) {
	spec, err := l.process.Specs.Spec(ctx, table, 0)
	if err != nil {
		return cases.Rows{}, err
	}
	var rows cases.Rows
	for _, c := range spec.Columns {
		rows.Columns = append(rows.Columns, c.Name)
	}
	rows.Seq = func(func([]cases.Cell, error) bool) {}
	return rows, nil
}
