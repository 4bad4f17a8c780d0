package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/cases"
)

// fake is a pipeline in memory: it folds the files of a table anew whenever it
// is asked, as the words of the design say. A fault makes it wrong on purpose.
type fake struct {
	fault  string
	tables map[dms.TableID]registry.Table
	files  []*fakeFile
	open   map[dms.TableID]bool // a load is open
	closed bool
}

type fakeFile struct {
	id      dms.FileID
	key     string
	table   registry.Table
	load    bool
	at      time.Time
	rows    []fakeRow
	result  cases.Result
	skipped bool
}

type fakeRow struct {
	op, seq string
	values  map[string]string
	file    *fakeFile
	n       int
}

func newFake(fault string) Factory {
	return func(context.Context, string) (Pipeline, error) {
		return &fake{fault: fault, tables: map[dms.TableID]registry.Table{}, open: map[dms.TableID]bool{}}, nil
	}
}

func (f *fake) Register(_ context.Context, tables []registry.Table) error {
	for _, t := range tables {
		f.tables[t.ID] = t
	}
	return nil
}

func (f *fake) Deliver(_ context.Context, d Delivery) (dms.FileID, error) {
	data, err := os.ReadFile(d.Content)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	file := &fakeFile{key: d.Key, at: d.LastModified, load: strings.HasPrefix(path.Base(d.Key), "LOAD")}
	kind := dms.KindChange
	if file.load {
		kind = dms.KindLoad
	}
	file.id = dms.NewFileID(dms.Object{Key: d.Key, ETag: hex.EncodeToString(sum[:]), LastModified: d.LastModified}, kind)
	if f.find(file.id) != nil && f.fault != "counts twice" {
		return file.id, nil
	}
	for _, t := range f.tables {
		if strings.HasPrefix(d.Key, t.Prefix+t.Path) {
			file.table = t
		}
	}
	file.result.Outcome = cases.Applied
	if err := file.parse(data); err != nil {
		file.result = cases.Result{Outcome: cases.Quarantined, Text: err.Error()}
	}
	if file.load {
		f.open[file.table.ID] = true
	}
	f.files = append(f.files, file)
	return file.id, nil
}

func (f *fakeFile) parse(data []byte) error {
	if strings.HasSuffix(f.key, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		if data, err = io.ReadAll(z); err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return fmt.Errorf("a wrong number of columns: %w", err)
	}
	s := f.table.DMS
	var names []string
	if s.Header {
		names, records = records[0], records[1:]
	} else {
		for _, l := range f.table.Layouts {
			if (l.Kind == dms.KindLoad) == f.load {
				names = l.Columns
			}
		}
	}
	for n, record := range records {
		row := fakeRow{op: "I", values: map[string]string{}, file: f, n: n}
		for i, name := range names {
			row.values[name] = record[i]
		}
		if op, ok := row.values["Op"]; ok {
			row.op = op
		}
		if s.ChangeSeqColumn != nil {
			row.seq = row.values[*s.ChangeSeqColumn]
		}
		f.rows = append(f.rows, row)
	}
	return nil
}

func (f *fake) find(id dms.FileID) *fakeFile {
	for _, file := range f.files {
		if file.id == id {
			return file
		}
	}
	return nil
}

func (f *fake) Settle(ctx context.Context) error { return ctx.Err() }

// paused reports whether a quarantined file of the table was not skipped.
func (f *fake) paused(table dms.TableID) bool {
	return slices.ContainsFunc(f.files, func(o *fakeFile) bool {
		return o.table.ID == table && o.result.Outcome == cases.Quarantined && !o.skipped
	})
}

func (f *fake) Outcome(_ context.Context, id dms.FileID) (cases.Result, error) {
	file := f.find(id)
	switch {
	case file == nil:
		return cases.Result{}, errors.New("never delivered")
	case file.result.Outcome == cases.Applied && (f.open[file.table.ID] || f.paused(file.table.ID)):
		return cases.Result{Outcome: cases.Pending}, nil
	}
	return file.result, nil
}

func (f *fake) ResumeSkip(_ context.Context, id dms.FileID) error {
	if f.fault != "stays paused" {
		f.find(id).skipped = true
	}
	return nil
}

func (f *fake) LoadComplete(_ context.Context, table dms.TableID) error {
	f.open[table] = false
	return nil
}

func (f *fake) Rows(_ context.Context, id dms.TableID) (cases.Rows, error) {
	t := f.tables[id]
	rows := cases.Rows{}
	for _, c := range t.Columns {
		rows.Columns = append(rows.Columns, c.Name)
	}
	rows.Seq = func(yield func([]cases.Cell, error) bool) {
		for _, row := range f.fold(t) {
			var cells []cases.Cell
			for _, name := range rows.Columns {
				cells = append(cells, cases.Cell{Text: row.values[name], Null: row.values[name] == t.DMS.Null})
			}
			if !yield(cells, nil) {
				return
			}
		}
	}
	return rows, nil
}

// fold applies the rows of the newest generation in order.
func (f *fake) fold(t registry.Table) []fakeRow {
	files := slices.DeleteFunc(slices.Clone(f.files), func(o *fakeFile) bool {
		return o.table.ID != t.ID || o.result.Outcome != cases.Applied || f.paused(t.ID)
	})
	slices.SortStableFunc(files, func(a, b *fakeFile) int { return a.at.Compare(b.at) })
	var begins time.Time
	known := map[string]bool{}
	for _, o := range files {
		if o.load && known[o.key] && f.fault != "keeps dropped rows" {
			begins, known = o.at, map[string]bool{}
		}
		known[o.key] = known[o.key] || o.load
	}
	var rows []fakeRow
	for _, o := range files {
		if !o.at.Before(begins) {
			rows = append(rows, o.rows...)
		}
	}
	slices.SortStableFunc(rows, func(a, b fakeRow) int {
		if a.file.load != b.file.load {
			if a.file.load {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.file.key, b.file.key), cmp.Compare(a.n, b.n))
	})
	if len(t.PrimaryKey) == 0 {
		return rows
	}
	key := func(row fakeRow, prefix string) (k string) {
		for _, name := range t.PrimaryKey {
			k += row.values[prefix+name] + "\x00"
		}
		return k
	}
	last := map[string]fakeRow{}
	for _, row := range rows {
		if p := t.DMS.BeforeImagePrefix; p != nil && row.op == "U" {
			delete(last, key(row, *p))
		}
		if row.op == "D" && f.fault != "forgets deletes" {
			delete(last, key(row, ""))
			continue
		}
		last[key(row, "")] = row
	}
	var left []fakeRow
	for _, row := range last {
		left = append(left, row)
	}
	return left
}

func (f *fake) Close() error {
	if f.closed {
		return errors.New("closed twice")
	}
	f.closed = true
	return nil
}
