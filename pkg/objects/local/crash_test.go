//go:build unix

package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// childDir, if set, makes the test binary a program that writes to this bucket
// until it is killed; childMode says how.
const (
	childDir  = "BLOTTER_TEST_DIR"
	childMode = "BLOTTER_TEST_MODE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir, os.Getenv(childMode))
		return
	}
	os.Exit(m.Run())
}

// child tells on its standard output what it has done.
func child(dir, mode string) {
	check := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	b, err := New("raw", dir)
	check(err)
	content := strings.Repeat("0123456789", 20_000)
	for n := 0; ; n++ {
		key := fmt.Sprintf("folder %d/object-%d", n%7, n)
		w, err := b.Create(context.Background(), key)
		check(err)
		_, err = io.WriteString(w, content[:rand.IntN(len(content))])
		check(err)
		if mode == "hang" {
			check(w.(*writer).buf.Flush())
			fmt.Println("written", key)
			select {}
		}
		info, err := w.Commit(context.Background())
		check(err)
		fmt.Printf("committed\t%s\t%s\n", info.Key, info.ETag)
	}
}

// start runs the child and returns its output, line by line.
func start(t *testing.T, dir, mode string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childDir+"="+dir, childMode+"="+mode)
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

func temps(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, tempFolder))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestKilledBeforeCommit: nothing is visible, the file of a living writer is
// left alone, that of a dead one is removed.
func TestKilledBeforeCommit(t *testing.T) {
	dir := t.TempDir()
	cmd, out := start(t, dir, "hang")
	if !out.Scan() || !strings.HasPrefix(out.Text(), "written") {
		t.Fatalf("the writer says %q, %v", out.Text(), out.Err())
	}
	open := func() *Bucket {
		b, err := New("raw", dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	if got := keys(t, open(), ""); len(got) > 0 || temps(t, dir) != 1 {
		t.Errorf("while the writer lives: listed %q, %d temporary files", got, temps(t, dir))
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := keys(t, open(), ""); len(got) > 0 || temps(t, dir) != 0 {
		t.Errorf("after its death: listed %q, %d temporary files", got, temps(t, dir))
	}
}

// TestKilledWhileWriting kills a writer at random moments. Whatever it said to
// be committed is there, and everything that is there is whole.
func TestKilledWhileWriting(t *testing.T) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		dir := t.TempDir()
		cmd, out := start(t, dir, "loop")
		// However slow its start was, it dies between two commits or in one.
		if !out.Scan() {
			t.Fatalf("the writer says nothing: %v", out.Err())
		}
		committed := []string{out.Text()}
		kill := time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for out.Scan() {
			committed = append(committed, out.Text())
		}
		kill.Stop()
		_ = cmd.Wait()
		b, err := New("raw", dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range committed {
			fields := strings.Split(line, "\t")
			if fields[0] != "committed" || len(fields) != 3 {
				t.Fatalf("the writer says %q", line)
			}
			if got := etagOf(t, b, fields[1]); got != fields[2] {
				t.Errorf("%s holds %s, committed was %s", fields[1], got, fields[2])
			}
		}
		listed := keys(t, b, "")
		// One may have been linked while its writer could not say so any more.
		if extra := len(listed) - len(committed); extra < 0 || extra > 1 {
			t.Errorf("%d objects are there, %d were committed", len(listed), len(committed))
		}
		if temps(t, dir) != 0 {
			t.Errorf("%d temporary files are left", temps(t, dir))
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSweepBesideWriters: buckets that are opened all the time do not disturb
// those who write.
func TestSweepBesideWriters(t *testing.T) {
	b := newBucket(t)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				b.sweep()
			}
		}
	}()
	for n := range 60 {
		key := fmt.Sprint("k", n)
		w, err := b.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, key); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := b.Open(t.Context(), key, objects.Version{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-done
}
