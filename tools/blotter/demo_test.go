package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/tools/internal/cases"
	"github.com/openblotter/blotter/tools/internal/sample"
)

// compareWith holds every table of a folder against the generated rows.
func compareWith(t *testing.T, dir string, drop *sample.Drop, expected func(io.Writer, dms.TableID) error) map[dms.TableID]*cases.Diff {
	t.Helper()
	l, closer, err := openLake(t.Context(), inDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closer(); err != nil {
			t.Error(err)
		}
	}()
	diffs := map[dms.TableID]*cases.Diff{}
	for _, table := range drop.Tables {
		diff, err := compareTable(t.Context(), l, table, expected)
		if err != nil {
			t.Fatal(err)
		}
		diffs[table.ID] = diff
	}
	return diffs
}

// The demo comes out as generated; the table that it leaves paused goes on as it
// says.
func TestDemo(t *testing.T) {
	t.Parallel()
	cfg := sample.DefaultConfig()
	cfg.Rows = 4000
	dir := filepath.Join(t.TempDir(), "demo")
	var out bytes.Buffer
	if err := demo(t.Context(), dir, cfg, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"One file cannot be read", "row.column_count", "1 file waiting behind it", "the other 11 tables went on",
		"blotter resume rms.citations --skip --dir " + dir, "blotter up --until-idle --dir " + dir,
		`SqlCatalog("blotter", uri="sqlite:///` + dir + `/catalog.db"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q:\n%s", want, out.String())
		}
	}
	drop, err := sample.Write(t.Context(), t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	paused := dms.TableID{DB: "rms", Table: "citations"}
	for id, diff := range compareWith(t, dir, drop, drop.WriteResumed) {
		if diff.Empty() == (id == paused) {
			t.Errorf("before resume, %s against the rows after it: %s", id, diff)
		}
	}
	for _, args := range [][]string{{"fsck"}, {"resume", "rms.citations", "--skip"}, {"up", "--until-idle"}, {"fsck"}, {"replay", "--rows"}} {
		if out, err := command(t.Context(), nil, append(args, "--dir", dir)...); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	for id, diff := range compareWith(t, dir, drop, drop.WriteResumed) {
		if !diff.Empty() {
			t.Errorf("after resume, %s: %s", id, diff)
		}
	}
}

// A drop that is not what became of it is told of.
func TestDemoTellsDifferences(t *testing.T) {
	t.Parallel()
	f := found{tables: []foundTable{{}, {}}}
	if !f.asGenerated() {
		t.Error("no fault is a difference")
	}
	f.tables[1].ID = dms.TableID{DB: "rms", Table: "reports"}
	f.tables[1].fault("%d rows missing", 3)
	if err := f.differences(); err == nil || !strings.Contains(err.Error(), "rms.reports: 3 rows missing") {
		t.Errorf("differences: %v", err)
	}
}

func TestDemoRefusesFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := command(t.Context(), nil, "demo", "--dir", dir); err == nil || !strings.Contains(err.Error(), "no demo made it") {
		t.Errorf("demo in a folder that it did not make: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "precious")); err != nil {
		t.Errorf("what lay in the folder: %v", err)
	}
	s := startSystem(t)
	if err := os.WriteFile(filepath.Join(s.dir, demoMark), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.blotter("demo"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("demo in a folder in use: %v", err)
	}
}

// A demo that is stopped says so, and the next one replaces what it left.
func TestDemoStopped(t *testing.T) {
	t.Parallel()
	cfg := sample.DefaultConfig()
	cfg.Rows, cfg.Broken = 2000, false
	dir := filepath.Join(t.TempDir(), "demo")
	ctx, cancel := context.WithCancel(t.Context())
	stopping := writer(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("wave 1")) {
			cancel()
		}
		return len(b), nil
	})
	if err := demo(ctx, dir, cfg, stopping); err == nil {
		t.Error("a demo that was stopped succeeds")
	}
	if err := demo(t.Context(), dir, cfg, io.Discard); err != nil {
		t.Errorf("the next demo: %v", err)
	}
}

// writer makes an io.Writer of a function.
type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
