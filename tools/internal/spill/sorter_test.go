package spill_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/openblotter/blotter/tools/internal/spill"
)

// Records come out sorted, all of them, whether they fit into memory, into a few
// runs or into more than are merged at once.
func TestSorted(t *testing.T) {
	for _, memory := range []int{1, 400, 4 << 10, 1 << 20} {
		t.Run(fmt.Sprint(memory), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(memory)))
			s := spill.New(t.TempDir(), memory)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			var want []string
			for range 3000 {
				key, value := fmt.Sprintf("%03d", rng.IntN(500)), fmt.Sprint(rng.IntN(5))
				if err := s.Add([]byte(key), []byte(value)); err != nil {
					t.Fatal(err)
				}
				want = append(want, key+"="+value)
			}
			slices.Sort(want)
			for range 2 { // it may be read again
				if got := read(t, s); !slices.Equal(got, want) {
					t.Fatalf("got %d records, %v…; expected %d, %v…", len(got), got[:3], len(want), want[:3])
				}
			}
			if s.Len() != 3000 {
				t.Errorf("it counts %d records", s.Len())
			}
		})
	}
}

func read(t *testing.T, s *spill.Sorter) []string {
	t.Helper()
	st, err := s.Sorted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		key, value, ok, err := st.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return got
		}
		got = append(got, string(key)+"="+string(value))
	}
}
