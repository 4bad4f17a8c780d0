package controltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

const racers = 8

func checkTables(t *testing.T, list func(context.Context) ([]dms.TableID, error), want ...dms.TableID) {
	t.Helper()
	got, err := list(t.Context())
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("got tables %v, want %v", got, want)
	}
}

// race runs fn in many goroutines that start together.
func race(n int, fn func(i int)) {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			fn(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
}

// commitRace lets goroutines load, commit, flush and start over. Each version
// must have one winner, and what it wrote must be what is there.
func commitRace(t *testing.T, s Store) {
	ctx := t.Context()
	const each = 15
	must(t, s.Commit(ctx, control.Change{Table: reports}))
	var mu sync.Mutex
	winners := map[uint64]string{}
	var conflicts atomic.Int64
	race(racers, func(i int) {
		for won := 0; won < each; {
			item, err := s.Table(ctx, reports)
			if err != nil {
				t.Error(err)
				return
			}
			if len(item.Outbox) > 0 {
				if err := s.ClearOutbox(ctx, reports, item.Version); err != nil {
					t.Error(err)
					return
				}
			}
			me := fmt.Sprintf("%d/%d", i, won)
			err = s.Commit(ctx, control.Change{Table: reports, Expect: item.Version, State: []byte(me), Outbox: events(me)})
			if errors.Is(err, control.ErrConflict) {
				conflicts.Add(1)
				continue
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			if other, ok := winners[item.Version+1]; ok {
				t.Errorf("version %d was won by %s and %s", item.Version+1, other, me)
			}
			winners[item.Version+1] = me
			mu.Unlock()
			won++
		}
	})
	const last = 1 + racers*each
	checkItem(t, s, reports, last, winners[last], winners[last])
	if conflicts.Load() == 0 {
		t.Log("no conflict was reached: the machine ran one goroutine after the other")
	}
}

func commitRaceForTheFirst(t *testing.T, s Store) {
	for n := range 10 {
		table := dms.TableID{DB: "rms", Table: fmt.Sprint("t", n)}
		var wins atomic.Int64
		var winner atomic.Int64
		race(racers, func(i int) {
			err := s.Commit(t.Context(), control.Change{Table: table, State: []byte(fmt.Sprint(i)),
				Files: []control.FileRow{file(i, "waiting", true)}})
			switch {
			case err == nil:
				wins.Add(1)
				winner.Store(int64(i))
			case !errors.Is(err, control.ErrConflict):
				t.Error(err)
			}
		})
		if wins.Load() != 1 {
			t.Fatalf("%d goroutines made the same table", wins.Load())
		}
		checkItem(t, s, table, 1, fmt.Sprint(winner.Load()))
		files, err := s.LiveFiles(t.Context(), table)
		must(t, err)
		checkFiles(t, "files of the winner", files, file(int(winner.Load()), "waiting", true))
	}
}

// commitIsWhole: a commit that conflicts leaves none of its parts behind.
func commitIsWhole(t *testing.T, s Store) {
	ctx := t.Context()
	must(t, s.Commit(ctx, control.Change{Table: reports, State: []byte("one"),
		Files: []control.FileRow{file(1, "waiting", true)},
		Spec:  &control.Spec{Version: 1, JSON: []byte("{}")}}))
	wantConflict(t, "stale commit", s.Commit(ctx, control.Change{Table: reports, State: []byte("two"),
		Outbox: events("e"),
		Files:  []control.FileRow{file(1, "published", false), file(2, "waiting", true)},
		Spec:   &control.Spec{Version: 2, JSON: []byte("{}")}}))
	// A registration that is there already is the caller's fault, not a conflict.
	err := s.Commit(ctx, control.Change{Table: reports, Expect: 1, State: []byte("two"),
		Files: []control.FileRow{file(1, "published", false)},
		Spec:  &control.Spec{Version: 1, JSON: []byte("[]")}})
	if err == nil || errors.Is(err, control.ErrConflict) {
		t.Errorf("a registration written twice: got %v", err)
	}
	checkItem(t, s, reports, 1, "one")
	files, err := s.Files(ctx, reports, nil, 10)
	must(t, err)
	checkFiles(t, "files", files, file(1, "waiting", true))
	spec, err := s.Spec(ctx, reports, 0)
	must(t, err)
	if spec.Version != 1 || string(spec.JSON) != "{}" {
		t.Errorf("registration %d %s is there", spec.Version, spec.JSON)
	}
}

func canceled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{
		"Commit":      s.Commit(ctx, control.Change{Table: reports, State: []byte("x")}),
		"PutObject":   s.PutObject(ctx, control.ObjectRow{FileID: "00", State: control.ObjectTold}),
		"ClearOutbox": s.ClearOutbox(ctx, reports, 1),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s under a canceled context: got %v", what, err)
		}
	}
	if _, err := s.Table(ctx, reports); !errors.Is(err, context.Canceled) {
		t.Errorf("Table under a canceled context: got %v", err)
	}
	_, err := s.Table(t.Context(), reports)
	wantNotFound(t, "Table", err)
}

// canceledAmidCommits cancels at any moment. A commit that says it happened did
// happen, and what is there is whole.
func canceledAmidCommits(t *testing.T, s Store) {
	race(racers, func(i int) {
		table := dms.TableID{DB: "rms", Table: fmt.Sprint("t", i)}
		for round := range 20 {
			item, err := s.Table(t.Context(), table)
			if err != nil && !errors.Is(err, control.ErrNotFound) {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			if round%2 == 0 {
				go cancel()
			}
			n := int(item.Version) + 1
			err = s.Commit(ctx, control.Change{Table: table, Expect: item.Version, State: []byte(fmt.Sprint(n)),
				Files: []control.FileRow{file(n, "waiting", true)}})
			cancel()
			now, loadErr := s.Table(t.Context(), table)
			if err == nil && (loadErr != nil || now.Version != item.Version+1) {
				t.Errorf("a commit that returned is not there: version %d, %v", now.Version, loadErr)
			}
			files, loadErr := s.LiveFiles(t.Context(), table)
			if loadErr != nil || uint64(len(files)) != now.Version {
				t.Errorf("version %d has %d files, %v", now.Version, len(files), loadErr)
			}
		}
	})
}

func readYourCommits(t *testing.T, s Store) {
	ctx := t.Context()
	race(racers, func(i int) {
		table := dms.TableID{DB: "rms", Table: fmt.Sprint("t", i)}
		for v := range uint64(20) {
			if err := s.Commit(ctx, control.Change{Table: table, Expect: v, State: []byte{byte(v)}}); err != nil {
				t.Error(err)
				return
			}
			item, err := s.Table(ctx, table)
			if err != nil || item.Version != v+1 || item.State[0] != byte(v) {
				t.Errorf("after version %d: got %d, %v", v+1, item.Version, err)
				return
			}
		}
	})
}
