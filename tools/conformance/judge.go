package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/openblotter/blotter/tools/internal/cases"
)

// judge compares what came of a case with what it accepts. It gives what
// differs from the case's own expectation, and nothing if that or any
// alternative holds as a whole.
func (d *drive) judge(ctx context.Context) (differences []string, err error) {
	results, err := d.results(ctx)
	if err != nil {
		return nil, err
	}
	others, err := d.otherTables(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range d.c.Variants() {
		var found []string
		for i, got := range results {
			if says := d.c.CheckStep(v, i, got); says != "" {
				found = append(found, says)
			}
		}
		rows, err := d.compare(ctx, 0, v.ExpectRows)
		if err != nil {
			return nil, err
		}
		found = append(append(found, rows...), others...)
		if len(found) == 0 {
			return nil, nil
		}
		if v.ID == "" {
			differences = found
		} else {
			differences = append(differences, fmt.Sprintf("alternative %s: differs as well, first: %s", v.ID, found[0]))
		}
	}
	return differences, nil
}

func (d *drive) otherTables(ctx context.Context) (differences []string, err error) {
	for i, o := range d.c.OtherTables {
		found, err := d.compare(ctx, i+1, o.ExpectRows)
		if err != nil {
			return nil, err
		}
		differences = append(differences, found...)
	}
	return differences, nil
}

// compare compares the rows of the table at index i with an expected file. A
// case that names no file expects nothing of the table's rows.
func (d *drive) compare(ctx context.Context, i int, file string) (differences []string, err error) {
	if file == "" {
		return nil, nil
	}
	t := d.tables[i]
	want, closer, err := cases.OpenCSV(d.c.Path(file))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	got, err := d.pipeline.Rows(ctx, t.ID)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.ID, err)
	}
	diff, err := cases.Compare(cases.Spec{PrimaryKey: t.PrimaryKey, Columns: t.Columns}, want, got)
	if err != nil {
		return nil, fmt.Errorf("compare %s with %s: %w", t.ID, file, err)
	}
	if diff.Empty() {
		return nil, nil
	}
	return []string{t.ID.String() + ": " + strings.ReplaceAll(diff.String(), "\n", "\n  ")}, nil
}
