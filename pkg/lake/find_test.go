package lake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// findPositions has an engine compute position deletes against the table's snapshot of
// this moment, in so many shares, for the file whose manifest it is given.
func (w *world) findPositions(t tester, spec registry.Table, shares int) func(*transform.Manifest) {
	t.Helper()
	snapshot, err := w.lake.Snapshot(context.Background(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if snapshot == nil {
		return nil
	}
	return func(m *transform.Manifest) {
		finder, err := lake.NewFinder(w.cfg, w.io, w.staging)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]transform.PositionFile{}
		for n := range shares {
			found, err := finder.Find(context.Background(), lake.FindRequest{
				Job:      transform.Job{Table: spec, File: dms.File{ID: m.FileID}, Token: m.Token},
				Manifest: *m, Snapshot: *snapshot, Share: n, Of: shares,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				files[f.DataFile] = f
			}
		}
		m.PositionDeletes = &transform.PositionDeletes{SnapshotID: snapshot.ID, Files: []transform.PositionFile{}}
		for _, f := range snapshot.Files {
			if one, ok := files[f.Path]; ok {
				m.PositionDeletes.Files = append(m.PositionDeletes.Files, one)
			}
		}
	}
}

// foundWorld holds a table of two data files with keys 0 to 19 and 20 to 39, of which
// 5 is deleted, and 30 was changed late.
func foundWorld(t *testing.T) (*world, registry.Table) {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction, cfg.AdoptRows, cfg.PositionDeleteRows = 0, 1, 0, 1
	w := newWorld(t, cfg)
	spec := reports()
	var parts []lake.Part
	for n := range int64(2) {
		var rows []change
		for id := n * 20; id < n*20+20; id++ {
			rows = append(rows, report(id, "load", fmt.Sprint("/", n), id+1))
		}
		parts = append(parts, w.stage(t, spec, stagedSpec{file: fmt.Sprint("load", n), kind: dms.KindLoad, token: 1, changes: rows}))
	}
	w.publish(t, spec, 1, lake.Replace, parts...)
	w.publish(t, spec, 2, lake.Merge, w.stage(t, spec, stagedSpec{file: "a", kind: dms.KindChange, token: 2,
		changes: []change{removal(5, "50", 1), report(30, "late", "90", 2)}}))
	return w, spec
}

// someChanges replace 1, 7 and 25, delete 9, come too late for 30, find 5 deleted, and
// bring 100.
func someChanges(file, pos string) stagedSpec {
	return stagedSpec{file: file, kind: dms.KindChange, token: 3, changes: []change{
		report(1, file, pos, 1), report(5, file, pos, 2), report(7, file, pos, 3), removal(9, pos, 4),
		report(25, file, pos, 5), report(30, file, pos, 6), report(100, file, pos, 7),
	}}
}

// TestPositionDeletesNameWhatTheSearchFinds: with them the table has the same rows,
// and the publication has the same counts.
func TestPositionDeletesNameWhatTheSearchFinds(t *testing.T) {
	var rows [2][]string
	var results [2]lake.Result
	for i, shares := range []int{0, 2} {
		w, spec := foundWorld(t)
		s, late := someChanges("b", "60"), someChanges("c", "55")
		if shares > 0 {
			s.tamper, late.tamper = w.findPositions(t, spec, shares), w.findPositions(t, spec, shares)
		}
		results[i] = w.publish(t, spec, 3, lake.Merge, w.stage(t, spec, s), w.stage(t, spec, late))
		if results[i].Named != (shares > 0) || results[i].Strategy != lake.StrategyRowDelta {
			t.Errorf("with %d shares: %+v", shares, results[i])
		}
		rows[i] = w.rows(t, spec.ID)
	}
	results[1].Named, results[1].SnapshotID = false, results[0].SnapshotID
	if !slices.Equal(rows[0], rows[1]) || fmt.Sprint(results[0]) != fmt.Sprint(results[1]) {
		t.Errorf("searched: %v %+v\nnamed: %v %+v", rows[0], results[0], rows[1], results[1])
	}
}

// TestPositionDeletesWhereTheSchemaChanges: the same commit widens the key and brings a
// column.
func TestPositionDeletesWhereTheSchemaChanges(t *testing.T) {
	cfg := lake.DefaultConfig()
	cfg.SmallTableRows, cfg.RewriteFraction, cfg.PositionDeleteRows = 0, 1, 1
	w := newWorld(t, cfg)
	narrow := table("rms", "codes", []string{"id"},
		registry.Column{Name: "id", Type: registry.Type{Kind: registry.Int}, Required: true},
		registry.Column{Name: "name", Type: registry.Type{Kind: registry.String}})
	var rows []change
	for id := int32(-5); id < 5; id++ {
		rows = append(rows, change{values: []parquet.Value{parquet.Int32Value(id), parquet.ByteArrayValue([]byte("old"))}, pos: "/0", row: int64(id) + 6})
	}
	w.publish(t, narrow, 1, lake.Replace, w.stage(t, narrow, stagedSpec{file: "load", kind: dms.KindLoad, token: 1, changes: rows}))
	wide := table("rms", "codes", []string{"id"},
		registry.Column{Name: "note", Type: registry.Type{Kind: registry.String}},
		registry.Column{Name: "id", Type: registry.Type{Kind: registry.Long}, Required: true},
		registry.Column{Name: "name", Type: registry.Type{Kind: registry.String}})
	wide.Version = 2
	of := func(id, row int64) change {
		return change{values: []parquet.Value{parquet.ByteArrayValue([]byte("note")), parquet.Int64Value(id), parquet.ByteArrayValue([]byte("new"))}, pos: "10", row: row}
	}
	s := stagedSpec{file: "a", kind: dms.KindChange, token: 2, changes: []change{of(-5, 1), of(3, 2), of(1<<40, 3),
		{values: []parquet.Value{parquet.Int64Value(0)}, deleted: true, pos: "10", row: 4}}}
	s.tamper = w.findPositions(t, wide, 1)
	r := w.publish(t, wide, 2, lake.Merge, w.stage(t, wide, s))
	if !r.Named || r.Strategy != lake.StrategyRowDelta || r.TableRows != 10 {
		t.Errorf("%+v", r)
	}
	got := strings.Join(w.rows(t, wide.ID), " ")
	if want := `note|-5|new \N|-4|old \N|-3|old \N|-2|old \N|-1|old \N|1|old \N|2|old note|3|new \N|4|old note|1099511627776|new`; got != want {
		t.Errorf("the rows are %s, expected %s", got, want)
	}
}

// TestPositionDeletesOfAnotherSnapshot: they are left aside, and the rows are right.
func TestPositionDeletesOfAnotherSnapshot(t *testing.T) {
	w, spec := foundWorld(t)
	s := someChanges("b", "60")
	s.tamper = w.findPositions(t, spec, 1)
	part := w.stage(t, spec, s)
	w.publish(t, spec, 3, lake.Merge, w.stage(t, spec, stagedSpec{file: "other", kind: dms.KindChange, token: 3,
		changes: []change{report(1, "other", "70", 1), removal(7, "40", 2)}}))
	if r := w.publish(t, spec, 4, lake.Merge, part); r.Named || r.Files[0].Superseded != 2 {
		t.Errorf("%+v", r)
	}
	if rows := w.rows(t, spec.ID); !strings.HasPrefix(rows[1], "1|other|") || len(rows) != 40 {
		t.Errorf("%d rows: %v", len(rows), rows)
	}
}

// TestWrongPositionDeletesAreRefused: no engine can delete a row that its file does not
// change, nor leave one that it does, and it is told which file says so.
func TestWrongPositionDeletesAreRefused(t *testing.T) {
	type tampering struct {
		change func(rows []int64) []int64 // of the first data file, which names 1, 7 and 9
		path   string                     // inside of the file
		edit   func(*transform.PositionDeletes)
		code   string
		says   string
	}
	// What is refused leaves no trace in the table: one does for all.
	w, spec := foundWorld(t)
	before := w.rows(t, spec.ID)
	is := func(rows ...int64) func([]int64) []int64 { return func([]int64) []int64 { return rows } }
	for name, tt := range map[string]tampering{
		"another row":         {change: is(1, 8, 9), says: "no row with the key of row 8"},
		"one more":            {change: is(1, 7, 9, 10), says: "no row with the key of row 10"},
		"one before":          {change: is(0, 1, 7, 9), says: "no row with the key of row 0"},
		"one that is deleted": {change: is(1, 5, 7, 9), says: "row 5 of"},
		"one less":            {change: is(1, 9), says: "no position delete names it"},
		"the last one less":   {change: is(1, 7), says: "no position delete names it"},
		"beyond the file":     {change: is(1, 7, 9, 20), says: "none of its 20"},
		"twice":               {change: is(1, 7, 7, 9), says: "does not follow"},
		"not in order":        {change: is(7, 1, 9), says: "does not follow"},
		"below the file":      {change: is(-1, 1, 7, 9), says: "does not follow"},
		"of another file":     {change: is(1, 7, 9), path: "file:///elsewhere.parquet", says: "another data file"},
		"of no file":          {edit: func(d *transform.PositionDeletes) { d.Files[0].DataFile += "x" }, says: "no data file of snapshot"},
		"the other file's": {edit: func(d *transform.PositionDeletes) {
			d.Files[0].DataFile, d.Files[1].DataFile = d.Files[1].DataFile, d.Files[0].DataFile
		}, says: "another data file"},
		"none of a file":  {edit: func(d *transform.PositionDeletes) { d.Files = d.Files[1:] }, says: "no position delete names it"},
		"none at all":     {edit: func(d *transform.PositionDeletes) { d.Files = nil }, says: "no position delete names it"},
		"fewer than said": {edit: func(d *transform.PositionDeletes) { d.Files[0].Rows++ }, code: lake.CodeHash, says: "the manifest says 4"},
		"not those bytes": {edit: func(d *transform.PositionDeletes) { d.Files[0].SHA256 = hashOf(nil) }, code: lake.CodeHash, says: "SHA-256"},
		"not there":       {edit: func(d *transform.PositionDeletes) { d.Files[0].Key += "x" }, code: lake.CodeHash, says: "not the one"},
	} {
		t.Run(name, func(t *testing.T) {
			s := someChanges(name, "60")
			find := w.findPositions(t, spec, 1)
			s.tamper = func(m *transform.Manifest) {
				find(m)
				if tt.change != nil {
					w.forgePositions(t, m, tt.change([]int64{1, 7, 9}), tt.path)
				}
				if tt.edit != nil {
					tt.edit(m.PositionDeletes)
				}
			}
			_, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 3, Mode: lake.Merge, Parts: []lake.Part{w.stage(t, spec, s)}})
			var refused *lake.AuditError
			if code := lake.CodePositionDeletes; !errors.As(err, &refused) || string(refused.FileID) != name || !strings.Contains(err.Error(), tt.says) ||
				tt.code == "" && refused.Code != code || tt.code != "" && refused.Code != tt.code {
				t.Errorf("it gives %v", err)
			}
			if after := w.rows(t, spec.ID); !slices.Equal(after, before) {
				t.Errorf("the table has changed: %v", after)
			}
		})
	}
}

// forgePositions puts other rows into the first file of position deletes.
func (w *world) forgePositions(t *testing.T, m *transform.Manifest, rows []int64, path string) {
	t.Helper()
	f := &m.PositionDeletes.Files[0]
	if path == "" {
		path = f.DataFile
	}
	var buf bytes.Buffer
	if err := transform.WritePositions(parquet.NewGenericWriter[any](&buf, transform.PositionSchema()), path, rows); err != nil {
		t.Fatal(err)
	}
	f.Key += ".forged"
	f.SHA256, f.Bytes, f.Rows = hashOf(buf.Bytes()), int64(buf.Len()), int64(len(rows))
	w.put(t, f.Key, buf.Bytes())
}

// TestSnapshotForEngines: engines are asked only where it pays.
func TestSnapshotForEngines(t *testing.T) {
	w, spec := foundWorld(t)
	for name, tt := range map[string]struct {
		change func(*lake.Config)
		table  dms.TableID
		named  bool
	}{
		"large":         {func(*lake.Config) {}, spec.ID, true},
		"small":         {func(c *lake.Config) { c.PositionDeleteRows = 41 }, spec.ID, false},
		"of many files": {func(c *lake.Config) { c.PositionDeleteFiles = 2 }, spec.ID, false},
		"not there":     {func(*lake.Config) {}, dms.TableID{DB: "rms", Table: "other"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := *w
			tt.change(&other.cfg)
			s, err := other.open(t, nil).Snapshot(t.Context(), tt.table)
			if err != nil || (s != nil) != tt.named {
				t.Errorf("it names %+v (%v)", s, err)
			}
		})
	}
}

// TestFindInAnExpiredSnapshot: that its objects are gone can be told from other faults.
func TestFindInAnExpiredSnapshot(t *testing.T) {
	w, spec := foundWorld(t)
	snapshot, err := w.lake.Snapshot(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := w.io.Key(snapshot.Files[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.io.Bucket().Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	s := someChanges("b", "60")
	s.tamper = func(m *transform.Manifest) {
		finder, err := lake.NewFinder(w.cfg, w.io, w.staging)
		if err != nil {
			t.Fatal(err)
		}
		_, err = finder.Find(t.Context(), lake.FindRequest{Job: transform.Job{Table: spec, File: dms.File{ID: "b"}, Token: 3}, Manifest: *m, Snapshot: *snapshot, Of: 1})
		if !errors.Is(err, objects.ErrNotFound) {
			t.Errorf("it gives %v", err)
		}
	}
	w.stage(t, spec, s)
}
