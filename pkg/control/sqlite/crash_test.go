package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/dms"
)

// childStore, if set, makes the test binary a program that commits to this
// store until it is killed or has won childTarget versions of each table.
const childStore = "BLOTTER_TEST_STORE"

const (
	childTables = 4
	childTarget = 40 // versions that each of the racing children wins per table
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childStore); path != "" {
		child(path)
		return
	}
	os.Exit(m.Run())
}

func childTable(n int) dms.TableID { return dms.TableID{DB: "rms", Table: fmt.Sprint("t", n)} }

// child commits to several tables at once. For each version that it won it
// says so, once Commit has returned.
func child(path string) {
	s, err := sqlite.Open(context.Background(), path)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for n := range childTables {
		wg.Go(func() {
			for won := 0; won < childTarget; {
				version, err := childCommit(s, n)
				mu.Lock()
				switch {
				case err == nil:
					won++
					fmt.Printf("committed %d %d %d\n", n, version, os.Getpid())
				case !errors.Is(err, control.ErrConflict):
					fmt.Println("error:", err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		fmt.Println("error:", err)
	}
}

// childCommit takes a table one version on, with an event, a file and a
// registration of that version, and clears the outbox before.
func childCommit(s *sqlite.Store, n int) (uint64, error) {
	ctx := context.Background()
	table := childTable(n)
	item, err := s.Table(ctx, table)
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return 0, err
	}
	if len(item.Outbox) > 0 {
		if err := s.ClearOutbox(ctx, table, item.Version); err != nil {
			return 0, err
		}
	}
	version := item.Version + 1
	body := []byte(fmt.Sprintf("%d by %d", version, os.Getpid()))
	return version, s.Commit(ctx, control.Change{
		Table: table, Expect: item.Version, State: body, Outbox: [][]byte{body},
		Files: []control.FileRow{{FileID: dms.FileID(fmt.Sprintf("%032x", version)), State: "waiting", Live: true,
			Order: dms.FileOrder(fmt.Sprintf("%09d", version)), Body: body}},
		Spec: &control.Spec{Version: version, JSON: body},
	})
}

func startChild(t *testing.T, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childStore+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

// acknowledged collects who won which version of which table.
type acknowledged map[[2]int]int

func (a acknowledged) read(t *testing.T, out *bufio.Scanner) int {
	t.Helper()
	n := 0
	for out.Scan() {
		var table, version, pid int
		if _, err := fmt.Sscanf(out.Text(), "committed %d %d %d", &table, &version, &pid); err != nil {
			t.Errorf("the child says %q", out.Text())
			continue
		}
		if other, ok := a[[2]int{table, version}]; ok {
			t.Errorf("version %d of table %d was won by %d and by %d", version, table, other, pid)
		}
		a[[2]int{table, version}] = pid
		n++
	}
	return n
}

// check finds every acknowledged commit, whole, and nothing torn beside it.
func (a acknowledged) check(t *testing.T, s *sqlite.Store) {
	t.Helper()
	for n := range childTables {
		table := childTable(n)
		item, err := s.Table(t.Context(), table)
		if errors.Is(err, control.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		files, err := s.LiveFiles(t.Context(), table)
		if err != nil {
			t.Fatal(err)
		}
		if uint64(len(files)) != item.Version {
			t.Errorf("table %d: version %d with %d files", n, item.Version, len(files))
		}
		for i, f := range files {
			version := i + 1
			if pid, ok := a[[2]int{n, version}]; ok && string(f.Body) != fmt.Sprintf("%d by %d", version, pid) {
				t.Errorf("table %d version %d holds %q, acknowledged was %d", n, version, f.Body, pid)
			}
			if spec, err := s.Spec(t.Context(), table, uint64(version)); err != nil || string(spec.JSON) != string(f.Body) {
				t.Errorf("table %d version %d: registration %q, %v, file %q", n, version, spec.JSON, err, f.Body)
			}
		}
		if len(files) > 0 && string(item.State) != string(files[len(files)-1].Body) {
			t.Errorf("table %d: state %q is not that of its last file", n, item.State)
		}
		for key := range a {
			if key[0] == n && uint64(key[1]) > item.Version {
				t.Errorf("table %d: version %d was acknowledged, but %d is there", n, key[1], item.Version)
			}
		}
	}
}

// TestKilled kills a process that commits, at random moments, again and again
// over one store. Every commit that returned is there.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	acks := acknowledged{}
	total, rounds := 0, 6
	if testing.Short() {
		rounds = 2
	}
	for round := 0; round < rounds || total == 0 && round < 10*rounds; round++ {
		cmd, out := startChild(t, path)
		life := time.Duration(20+rand.IntN(120)) * time.Millisecond
		if total == 0 { // on a busy machine a process may need longer to begin
			life *= time.Duration(1 + round)
		}
		kill := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		total += acks.read(t, out)
		kill.Stop()
		_ = cmd.Wait()
		acks.check(t, openAt(t, path))
	}
	if total == 0 {
		t.Error("no child came to commit anything")
	}
}

// TestProcessesRace lets processes commit to the same tables: each version has
// one winner among them all.
func TestProcessesRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	s := openAt(t, path) // and one that looks on
	acks := acknowledged{}
	const processes = 3
	var outs []*bufio.Scanner
	for range processes {
		_, out := startChild(t, path)
		outs = append(outs, out)
	}
	for _, out := range outs {
		acks.read(t, out)
	}
	acks.check(t, s)
	if want := processes * childTables * childTarget; len(acks) != want {
		t.Errorf("%d versions were won, want %d", len(acks), want)
	}
	for n := range childTables {
		item, err := s.Table(t.Context(), childTable(n))
		if err != nil || item.Version != processes*childTarget {
			t.Errorf("table %d ends at version %d, %v", n, item.Version, err)
		}
	}
}

func TestOpenReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	s := openAt(t, path)
	change := control.Change{Table: childTable(0), State: []byte("s")}
	if err := s.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	r, err := sqlite.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if item, err := r.Table(t.Context(), childTable(0)); err != nil || string(item.State) != "s" {
		t.Errorf("got %q, %v", item.State, err)
	}
	change.Expect = 1
	if err := r.Commit(t.Context(), change); err == nil || !strings.Contains(err.Error(), "reading only") {
		t.Errorf("Commit: %v", err)
	}
}
