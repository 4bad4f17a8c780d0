package sqlitefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func wantAdvice(t *testing.T, what string, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q does not say %q", what, err, text)
		}
	}
}

func TestNotOurs(t *testing.T) {
	path := temp(t)
	mustOpen(t, path)
	_, err := open(t, path, func(c *Config) { c.ApplicationID = 8 })
	wantAdvice(t, "another application", err, "test store", path, "another program")
	if !errors.Is(err, ErrSchema) {
		t.Errorf("got %v", err)
	}
	_, err = open(t, path, func(c *Config) { c.ApplicationID = 8; c.ReadOnly = true })
	wantAdvice(t, "another application", err, "another program")
}

func TestMigrations(t *testing.T) {
	path := temp(t)
	d := mustOpen(t, path)
	must(t, d.Write(t.Context(), set("a", 1)))
	must(t, d.Close())
	newer := func(c *Config) {
		c.Migrations = append(c.Migrations[:1:1], `ALTER TABLE kv ADD COLUMN w INTEGER; UPDATE kv SET w = v + 1`)
	}
	_, err := open(t, path, newer, readOnly)
	wantAdvice(t, "an old file, for reading", err, "older Blotter", "schema 1", "needs 2")

	broken := func(c *Config) {
		c.Migrations = append(c.Migrations[:1:1], `ALTER TABLE kv ADD COLUMN w INTEGER; nonsense`)
	}
	_, err = open(t, path, broken)
	wantAdvice(t, "a migration that fails", err, "schema from 1 to 2")

	d = mustOpen(t, path, newer)
	var w int
	must(t, d.Reads().QueryRowContext(t.Context(), `SELECT w FROM kv`).Scan(&w))
	if w != 2 {
		t.Errorf("the migration made %d", w)
	}
	must(t, d.Close())
	_, err = open(t, path)
	wantAdvice(t, "a newer file", err, "newer Blotter", "schema 2", "up to 1")
	if !errors.Is(err, ErrSchema) {
		t.Errorf("got %v", err)
	}
	mustOpen(t, path, newer, readOnly)
}

// TestReadWhileItIsMade: a file is there a moment before its schema is.
func TestReadWhileItIsMade(t *testing.T) {
	path := temp(t)
	must(t, os.WriteFile(path, nil, 0o600))
	cfg := testConfig
	cfg.Path, cfg.ReadOnly = path, true
	empty := &DB{cfg: cfg, patience: 2 * lookEvery}
	err := empty.explain("open", empty.open(t.Context()))
	must(t, empty.Close())
	wantAdvice(t, "a file that stays empty", err, "nothing is in it", "`blotter up --tables FILE` makes it", "restore it from a backup")
	if !errors.Is(err, ErrSchema) {
		t.Errorf("got %v", err)
	}

	opened := make(chan error, 1)
	go func() {
		d, err := Open(t.Context(), cfg)
		if err == nil {
			err = d.Close()
		}
		opened <- err
	}()
	mustOpen(t, path)
	if err := <-opened; err != nil {
		t.Errorf("opened while another makes it: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	path := temp(t)
	_, err := open(t, path, readOnly)
	wantAdvice(t, "a file that is not there", err, path, "cannot be opened")
	if _, err := os.Stat(path); err == nil {
		t.Error("opening for reading made the file")
	}
	d := mustOpen(t, path)
	must(t, d.Write(t.Context(), set("a", 1)))
	beside := mustOpen(t, path, readOnly) // while another writes
	if get(t, beside, "a") != 1 {
		t.Error("what is written is not seen")
	}
	must(t, d.Write(t.Context(), set("a", 2)))
	if get(t, beside, "a") != 2 {
		t.Error("what is written later is not seen")
	}
	wantAdvice(t, "a write", beside.Write(t.Context(), set("a", 3)), "reading only")
	must(t, beside.Close())
	must(t, d.Close())
	if alone := mustOpen(t, path, readOnly); get(t, alone, "a") != 2 {
		t.Error("what was written is not seen after the writer has gone")
	}
}

func TestDamaged(t *testing.T) {
	path := temp(t)
	must(t, os.WriteFile(path, []byte(strings.Repeat("this is no database. ", 1000)), 0o644))
	_, err := open(t, path)
	wantAdvice(t, "another file", err, path, "no SQLite database")

	path = temp(t)
	d := mustOpen(t, path)
	for n := range 2000 {
		must(t, d.WriteSoon(t.Context(), set(fmt.Sprint(n), n)))
	}
	must(t, d.Close())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	_, err = f.WriteAt(make([]byte, info.Size()-4096), 4096)
	must(t, err)
	must(t, f.Close())
	d, err = open(t, path)
	if err == nil {
		err = d.Write(t.Context(), set("a", 1))
	}
	wantAdvice(t, "a damaged file", err, path, "damaged", "backup")
}

func TestDiskFull(t *testing.T) {
	path := temp(t)
	d := mustOpen(t, path)
	must(t, d.Write(t.Context(), set("a", 1)))
	// The connection may not grow the file any more, as on a full disk.
	must(t, d.writes.exec(`PRAGMA max_page_count = 1`))
	big := strings.Repeat("x", 1<<20)
	err := d.Write(t.Context(), set(big, 1))
	wantAdvice(t, "a full disk", err, path, "disk is full")
	if get(t, d, "a") != 1 {
		t.Error("what was there is gone")
	}
	must(t, d.Write(t.Context(), set("a", 2)))
	must(t, d.writes.exec(`PRAGMA max_page_count = 100000`))
	must(t, d.Write(t.Context(), set(big, 1)))
}

func TestFolderMissing(t *testing.T) {
	_, err := open(t, filepath.Join(t.TempDir(), "missing", "test.db"))
	wantAdvice(t, "no folder", err, "missing", "folder exists")
}
