package objectstest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/openblotter/blotter/pkg/objects"
)

// Without names a test that an adapter's stand-in cannot pass, and why.
type Without struct{ Test, Reason string }

// Run runs the suite. open gives an empty bucket each time it is called; what
// it holds is removed at the end of the test that it is given.
func Run(t *testing.T, open func(t *testing.T) objects.Bucket, without ...Without) {
	suite := []struct {
		name string
		test func(*testing.T, objects.Bucket)
	}{
		{"CreateAndRead", createAndRead},
		{"NotFound", notFound},
		{"Invisible", invisible},
		{"Abort", abort},
		{"Exists", exists},
		{"ExistsBig", existsBig},
		{"CreateRace", createRace},
		{"CreateRaceBig", createRaceBig},
		{"AbortBig", abortBig},
		{"Canceled", canceled},
		{"Pinned", pinned},
		{"PinnedAfterReplacement", pinnedAfterReplacement},
		{"VersionStays", versionStays},
		{"ReaderAt", readerAt},
		{"MixedReads", mixedReads},
		{"Big", big},
		{"OddKeys", oddKeys},
		{"ListOrder", listOrder},
		{"ListPrefix", listPrefix},
		{"ListMany", listMany},
		{"ListStops", listStops},
		{"ListWhileChanging", listWhileChanging},
		{"CopyWithin", copyWithin},
		{"CopyExists", copyExists},
		{"CopyBig", copyBig},
		{"Remove", remove},
		{"RemoveBesideCreate", removeBesideCreate},
		{"ETagOfContent", etagOfContent},
	}
	for _, s := range suite {
		t.Run(s.name, func(t *testing.T) {
			for _, w := range without {
				if w.Test == s.name {
					t.Skip(w.Reason)
				}
			}
			s.test(t, open(t))
		})
	}
	t.Run("CopyBetween", func(t *testing.T) { CopyBetween(t, open(t), open(t)) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// put writes an object in a few writes.
func put(t *testing.T, b objects.Bucket, key, content string) objects.Info {
	t.Helper()
	info, err := tryPut(t, b, key, content)
	must(t, err)
	return info
}

func tryPut(t *testing.T, b objects.Bucket, key, content string) (objects.Info, error) {
	w, err := b.Create(t.Context(), key)
	if err != nil {
		return objects.Info{}, err
	}
	for chunk := range slices.Chunk([]byte(content), 1000) {
		if _, err := w.Write(chunk); err != nil {
			return objects.Info{}, errors.Join(err, w.Abort())
		}
	}
	return w.Commit(t.Context())
}

func read(t *testing.T, b objects.Bucket, key string, v objects.Version) string {
	t.Helper()
	r, err := b.Open(t.Context(), key, v)
	must(t, err)
	content, err := io.ReadAll(r)
	must(t, err)
	must(t, r.Close())
	return string(content)
}

func list(t *testing.T, b objects.Bucket, prefix string) []string {
	t.Helper()
	var keys []string
	for info, err := range b.List(t.Context(), prefix) {
		must(t, err)
		keys = append(keys, info.Key)
	}
	return keys
}

func checkKeys(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// pattern makes n bytes that repeat nowhere near each other.
func pattern(n int) string {
	var b bytes.Buffer
	b.Grow(n + 4)
	for x := uint32(1); b.Len() < n; x = x*1664525 + 1013904223 {
		b.Write([]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
	}
	return b.String()[:n]
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
