package e2e

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/cases"
	"github.com/openblotter/blotter/tools/internal/hammer"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/sample"
)

// TestKilledAgainAndAgain kills the running system at random moments, while
// files come in and while they are published, and has it finish in the end.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	kills := 14
	if testing.Short() {
		kills = 6
	}
	const seed = 20
	r := rand.New(rand.NewPCG(seed, 1))
	drop, err := sample.Write(t.Context(), t.TempDir(), sample.Config{
		Seed: seed, Rows: 2000, Start: sample.DefaultConfig().Start,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, "", drop.Registration)
	files := drop.Files
	r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	// In the first half of its lives the system takes in what arrives; in the
	// second half all is there, and it seals the loads and publishes.
	arriving := kills / 2
	var lives []life
	for n := range kills {
		args := []string{"up"}
		if n < arriving {
			for _, f := range files[n*len(files)/arriving : (n+1)*len(files)/arriving] {
				if err := drop.Place(f, s.raw); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			args = append(args, "--until-idle")
		}
		// Every fourth dies as it starts, recovering from the one before.
		working := n%4 != 3
		after := time.Duration(r.IntN(500)) * time.Millisecond
		if working {
			after *= 3
		}
		lives = append(lives, s.killAfter(after, working, args...))
	}
	s.up(0)
	checkStopped(t, s, drop, lives)
}

// life is one run of the system that was killed, or ended by itself.
type life struct {
	killed bool
	ended  time.Time
}

// killAfter runs the system and kills it some time after its start, or, if
// working, after it has begun to work.
func (s *system) killAfter(after time.Duration, working bool, args ...string) life {
	s.t.Helper()
	out := &watchedOutput{mark: "events: ", seen: make(chan struct{})}
	cmd := exec.CommandContext(s.t.Context(), binary, append(args, "--tables", s.tables, "--raw", s.raw, "--dir", s.dir)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	finish := func(err error) life {
		if err != nil {
			s.t.Fatalf("blotter %v ended by itself: %v\n%s", args, err, out)
		}
		return life{ended: time.Now()}
	}
	if working {
		select {
		case err := <-ended:
			return finish(err)
		case <-out.seen:
		}
	}
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case err := <-ended:
		return finish(err)
	case <-timer.C:
		if err := cmd.Process.Kill(); err != nil {
			s.t.Fatal(err)
		}
		err := <-ended // nil if it ended by itself at this very moment
		return life{killed: err != nil, ended: time.Now()}
	}
}

// watchedOutput keeps what a program prints and tells when a mark was in it.
type watchedOutput struct {
	mark string
	seen chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	told bool
}

func (w *watchedOutput) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if !w.told && bytes.Contains(w.text.Bytes(), []byte(w.mark)) {
		w.told = true
		close(w.seen)
	}
	return len(p), nil
}

func (w *watchedOutput) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// checkLives: the kills struck while there was work, and commits came before
// some of them.
func checkLives(t *testing.T, lives []life, records []eventlog.Record) {
	t.Helper()
	kills, busy, published := 0, 0, 0
	at := 0
	for n, l := range lives {
		events, commits := 0, 0
		for ; at < len(records) && records[at].Stored.Before(l.ended); at++ {
			events++
			if _, ok := records[at].Event.(*blotterv1.FilesPublished); ok {
				commits++
			}
		}
		t.Logf("life %d: killed %t, %d events, %d commits", n+1, l.killed, events, commits)
		if !l.killed {
			continue
		}
		kills++
		if events > 0 {
			busy++
		}
		if commits > 0 {
			published++
		}
	}
	if kills < len(lives)/2 || busy < kills/3 || published == 0 {
		t.Errorf("of %d lives %d were killed, %d of them at work, %d after commits: the test shows little",
			len(lives), kills, busy, published)
	}
}

// checkStopped opens the folder of a stopped system and looks at everything.
func checkStopped(t *testing.T, s *system, drop *sample.Drop, lives []life) {
	t.Helper()
	cfg := roles.DefaultConfig()
	cfg.Dir, cfg.Places.Raw, cfg.Roles = s.dir, s.raw, []string{}
	p, err := roles.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	records := readLog(t, p.Log)
	holds(t, hammer.CheckEvents(records), nil)
	checkLives(t, lives, records)
	specs, err := registry.Parse([]byte(drop.Registration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		found, err := hammer.CheckFold(t.Context(), records, p.Store, spec.ID)
		holds(t, found, err)
		if n, err := p.Hold.Len(t.Context(), spec.ID); err != nil || n > 0 {
			t.Errorf("%s: %d files in the hold queue (%v)", spec.ID, n, err)
		}
		want := expectedRows(t, func(w io.Writer) error { return drop.WriteExpected(w, spec.ID) })
		if diff := compareRows(t, p.Lake, spec, want); !diff.Empty() {
			t.Errorf("%s: %s", spec.ID, diff)
		}
	}
	published := publishedFiles(records)
	for _, f := range drop.Files {
		if f.Expect != sample.Published {
			continue
		}
		if n := published[f.Key]; n != 1 {
			t.Errorf("%s ended as published %d times", f.Key, n)
		}
	}
}

func expectedRows(t *testing.T, write func(io.Writer) error) cases.Rows {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := cases.ReadCSV(&b)
	if err != nil {
		t.Fatal(fmt.Errorf("read the expected rows: %w", err))
	}
	return rows
}
