package holdqueuetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
)

// Run runs the suite. open gives an empty queue each time it is called and
// closes it at the end of the test that it is given.
func Run(t *testing.T, open func(t *testing.T) holdqueue.Queue) {
	suite := []struct {
		name string
		test func(*testing.T, holdqueue.Queue)
	}{
		{"LowestFirst", lowestFirst},
		{"Repeated", repeated},
		{"TablesAreApart", tablesAreApart},
		{"Concurrent", concurrent},
		{"Canceled", canceled},
		{"Rebuilt", rebuilt},
	}
	for _, s := range suite {
		t.Run(s.name, func(t *testing.T) { s.test(t, open(t)) })
	}
	t.Run("Model", func(t *testing.T) { model(t, open(t)) })
}

var (
	reports = dms.TableID{DB: "rms", Table: "reports"}
	persons = dms.TableID{DB: "rms", Table: "persons"}
)

// item makes file n in place order.
func item(n, order int) holdqueue.Item {
	return holdqueue.Item{
		FileID: dms.FileID(fmt.Sprintf("%032x", n)),
		Order:  dms.FileOrder(fmt.Sprintf("20240705-%09d/x", order)),
	}
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Context() context.Context
}

func must(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check(t fataler, q holdqueue.Queue, table dms.TableID, limit int, want ...holdqueue.Item) {
	t.Helper()
	got, err := q.Held(t.Context(), table, limit)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Fatalf("held for %s:\n got %v\nwant %v", table, got, want)
	}
}

func checkLen(t fataler, q holdqueue.Queue, table dms.TableID, want int) {
	t.Helper()
	n, err := q.Len(t.Context(), table)
	must(t, err)
	if n != want {
		t.Fatalf("%d files held for %s, want %d", n, table, want)
	}
}

func lowestFirst(t *testing.T, q holdqueue.Queue) {
	check(t, q, reports, 10)
	checkLen(t, q, reports, 0)
	for _, i := range []holdqueue.Item{item(1, 30), item(2, 10), item(3, 20), item(5, 20), item(4, 20)} {
		must(t, q.Hold(t.Context(), reports, i))
	}
	check(t, q, reports, 10, item(2, 10), item(3, 20), item(4, 20), item(5, 20), item(1, 30))
	check(t, q, reports, 2, item(2, 10), item(3, 20))
	checkLen(t, q, reports, 5)
	must(t, q.Release(t.Context(), reports, item(2, 0).FileID))
	check(t, q, reports, 1, item(3, 20))
	checkLen(t, q, reports, 4)
}

func repeated(t *testing.T, q holdqueue.Queue) {
	for range 3 {
		must(t, q.Hold(t.Context(), reports, item(1, 1)))
		check(t, q, reports, 10, item(1, 1))
	}
	for range 3 {
		must(t, q.Release(t.Context(), reports, item(1, 1).FileID))
		check(t, q, reports, 10)
	}
	must(t, q.Hold(t.Context(), reports, item(1, 1))) // held a second time, after its release
	checkLen(t, q, reports, 1)
}

func tablesAreApart(t *testing.T, q holdqueue.Queue) {
	must(t, q.Hold(t.Context(), reports, item(1, 1)))
	must(t, q.Hold(t.Context(), persons, item(1, 1)))
	must(t, q.Hold(t.Context(), persons, item(2, 2)))
	must(t, q.Release(t.Context(), persons, item(1, 1).FileID))
	check(t, q, reports, 10, item(1, 1))
	check(t, q, persons, 10, item(2, 2))
}

func concurrent(t *testing.T, q holdqueue.Queue) {
	const goroutines, each = 8, 20
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				n := g*each + i
				if err := q.Hold(t.Context(), reports, item(n, n)); err != nil {
					t.Error(err)
				}
				if n%2 == 1 {
					if err := q.Release(t.Context(), reports, item(n, n).FileID); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	var want []holdqueue.Item
	for n := 0; n < goroutines*each; n += 2 {
		want = append(want, item(n, n))
	}
	check(t, q, reports, 1000, want...)
}

func canceled(t *testing.T, q holdqueue.Queue) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Hold(ctx, reports, item(1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Hold under a canceled context: got %v", err)
	}
	checkLen(t, q, reports, 0)
}

// rebuilt: a list that lost some files, and shows others that do not wait, is
// made what it should be; a second time nothing is left to do.
func rebuilt(t *testing.T, q holdqueue.Queue) {
	for _, i := range []holdqueue.Item{item(1, 1), item(2, 2), item(7, 7), item(8, 9)} {
		must(t, q.Hold(t.Context(), reports, i))
	}
	must(t, q.Hold(t.Context(), persons, item(5, 5)))
	want := []holdqueue.Item{item(2, 2), item(3, 3), item(4, 4), item(8, 8)}
	for _, changes := range []holdqueue.Rebuilt{{Added: 3, Removed: 3}, {}} {
		got, err := holdqueue.Rebuild(t.Context(), q, reports, want)
		must(t, err)
		if got != changes {
			t.Errorf("rebuilt with %+v, want %+v", got, changes)
		}
		check(t, q, reports, 10, want...)
	}
	check(t, q, persons, 10, item(5, 5))
}

// model compares a queue with a map under random operations.
func model(t *testing.T, q holdqueue.Queue) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		table := dms.TableID{DB: "m", Table: fmt.Sprint(run)}
		held := map[dms.FileID]holdqueue.Item{}
		file := func(rt *rapid.T) holdqueue.Item {
			n := rapid.IntRange(0, 9).Draw(rt, "file")
			return item(n, n*7%4) // several files in each place
		}
		rt.Repeat(map[string]func(*rapid.T){
			"hold": func(rt *rapid.T) {
				i := file(rt)
				must(rt, q.Hold(rt.Context(), table, i))
				held[i.FileID] = i
			},
			"release": func(rt *rapid.T) {
				i := file(rt)
				must(rt, q.Release(rt.Context(), table, i.FileID))
				delete(held, i.FileID)
			},
			"": func(rt *rapid.T) {
				var want []holdqueue.Item
				for _, i := range held {
					want = append(want, i)
				}
				slices.SortFunc(want, func(a, b holdqueue.Item) int {
					return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
				})
				limit := rapid.IntRange(1, 12).Draw(rt, "limit")
				check(rt, q, table, limit, want[:min(limit, len(want))]...)
				checkLen(rt, q, table, len(want))
			},
		})
	})
}
