package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var testConfig = Config{
	What:          "test store",
	ApplicationID: 7,
	Migrations:    []string{`CREATE TABLE kv (k TEXT PRIMARY KEY, v INTEGER NOT NULL) STRICT`},
}

func open(t *testing.T, path string, change ...func(*Config)) (*DB, error) {
	t.Helper()
	cfg := testConfig
	cfg.Path = path
	for _, c := range change {
		c(&cfg)
	}
	d, err := Open(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { _ = d.Close() })
	}
	return d, err
}

func mustOpen(t *testing.T, path string, change ...func(*Config)) *DB {
	t.Helper()
	d, err := open(t, path, change...)
	must(t, err)
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func temp(t *testing.T) string {
	t.Helper()
	// What a URI or a pragma could take amiss.
	dir := filepath.Join(t.TempDir(), "a b%20?x=1#;'é&")
	must(t, os.Mkdir(dir, 0o755))
	return filepath.Join(dir, "test.db")
}

func readOnly(c *Config) { c.ReadOnly = true }

func set(k string, v int) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO kv (k, v) VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v`, k, v)
		return err
	}
}

func get(t *testing.T, d *DB, k string) int {
	t.Helper()
	var v int
	err := d.Reads().QueryRowContext(t.Context(), `SELECT v FROM kv WHERE k = ?`, k).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return -1
	}
	must(t, err)
	return v
}

func TestWriteAndRead(t *testing.T) {
	path := temp(t)
	d := mustOpen(t, path)
	must(t, d.Write(t.Context(), set("a", 1)))
	must(t, d.WriteSoon(t.Context(), set("b", 2)))
	must(t, d.Write(t.Context(), set("c", 3)))
	if get(t, d, "a") != 1 || get(t, d, "b") != 2 || get(t, d, "c") != 3 {
		t.Error("a write that returned is not seen")
	}
	must(t, d.Write(t.Context(), func(tx *Tx) error {
		var v int
		if err := tx.QueryRow(`SELECT v FROM kv WHERE k = ?`, "a").Scan(&v); err != nil || v != 1 {
			return fmt.Errorf("got %d, %w", v, err)
		}
		return nil
	}))
	if _, err := d.Reads().ExecContext(t.Context(), `DELETE FROM kv`); err == nil {
		t.Error("a reader can write")
	}
	must(t, d.Close())
	must(t, d.Close())
	if err := d.Write(t.Context(), set("a", 9)); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("after Close the folder holds %v", entries)
	}
	if d := mustOpen(t, path); get(t, d, "b") != 2 {
		t.Error("what was written is gone")
	}
}

func TestOwnErrorsComeBackAsTheyAre(t *testing.T) {
	d := mustOpen(t, temp(t))
	own := errors.New("own")
	err := d.Write(t.Context(), func(tx *Tx) error { return errors.Join(set("a", 1)(tx), own) })
	if !errors.Is(err, own) || strings.Contains(err.Error(), "test store") {
		t.Errorf("got %v", err)
	}
	if get(t, d, "a") != -1 {
		t.Error("what failed was written")
	}
	err = d.Write(t.Context(), func(tx *Tx) error { _, err := tx.Exec(`INSERT INTO kv VALUES (?, NULL)`, "a"); return err })
	if err == nil || !strings.Contains(err.Error(), "test store") {
		t.Errorf("a constraint: %v", err)
	}
}

// TestBatch: writes that share a transaction succeed and fail each on its own.
func TestBatch(t *testing.T) {
	d := mustOpen(t, temp(t))
	own := errors.New("own")
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := d.Write(t.Context(), func(*Tx) error { close(held); <-release; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-held // all others now wait for the one that holds the connection
	for n := range 300 {
		wg.Go(func() {
			write := d.Write
			if n%2 == 0 {
				write = d.WriteSoon
			}
			err := write(t.Context(), func(tx *Tx) error {
				if err := set(fmt.Sprint(n), n)(tx); err != nil {
					return err
				}
				if n%3 == 0 {
					return own
				}
				return nil
			})
			if n%3 == 0 && !errors.Is(err, own) || n%3 != 0 && err != nil {
				t.Errorf("write %d: %v", n, err)
			}
		})
	}
	close(release)
	wg.Wait()
	for n := range 300 {
		want := n
		if n%3 == 0 {
			want = -1
		}
		if got := get(t, d, fmt.Sprint(n)); got != want {
			t.Errorf("write %d left %d", n, got)
		}
	}
}

// TestCanceledWhileWaiting: a write that has not begun is not made, one that
// has begun is waited for.
func TestCanceledWhileWaiting(t *testing.T) {
	d := mustOpen(t, temp(t))
	held, release := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		first <- d.Write(ctx, func(tx *Tx) error { close(held); <-release; return set("a", 1)(tx) })
	}()
	<-held
	second := make(chan error, 1)
	go func() { second <- d.Write(ctx, set("b", 1)) }()
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("a write that waited: %v", err)
	}
	select {
	case err := <-first:
		t.Errorf("a write that had begun returned before its end: %v", err)
	default:
	}
	close(release)
	must(t, <-first)
	must(t, d.Write(t.Context(), set("c", 1)))
	if get(t, d, "a") != 1 || get(t, d, "b") != -1 {
		t.Error("the wrong writes were made")
	}
}

func TestManyOpenANewFile(t *testing.T) {
	path := temp(t)
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			d, err := open(t, path)
			if err == nil {
				err = d.Write(t.Context(), set(fmt.Sprint(n), n))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d := mustOpen(t, path)
	for n := range 6 {
		if get(t, d, fmt.Sprint(n)) != n {
			t.Errorf("write %d is missing", n)
		}
	}
}
