package objectstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/objects"
)

// RunScanner runs the suite of scanners. open gives an empty bucket each time it is
// called, and a scanner that holds what is in it for whole at once.
func RunScanner(t *testing.T, open func(t *testing.T) (objects.Bucket, objects.Scanner), without ...Without) {
	suite := []struct {
		name string
		test func(*testing.T, objects.Bucket, objects.Scanner)
	}{
		{"FromEveryKey", scanFromEveryKey},
		{"InSteps", scanInSteps},
		{"OfManyPages", scanOfManyPages},
		{"Asks", scanAsks},
		{"BesideChanges", scanBesideChanges},
		{"PastWhatIsGone", scanPastWhatIsGone},
	}
	for _, s := range suite {
		t.Run(s.name, func(t *testing.T) {
			for _, w := range without {
				if w.Test == s.name {
					t.Skip(w.Reason)
				}
			}
			b, scanner := open(t)
			s.test(t, b, scanner)
		})
	}
}

// step scans behind a key until it has seen n objects that are wanted, or the end; at is
// the key to go on behind.
func step(t *testing.T, s objects.Scanner, prefix, after string, n int) (keys []string, at string, done bool) {
	t.Helper()
	at = after
	for seen, err := range s.ScanAfter(t.Context(), prefix, after, nil) {
		must(t, err)
		if seen.Key <= at {
			t.Fatalf("behind %q it comes to %q", at, seen.Key)
		}
		at = seen.Key
		switch seen.Seen {
		case objects.SeenObject:
			keys = append(keys, seen.Key)
		case objects.SeenNothing:
		default:
			t.Fatalf("%q is seen as %d: %v", seen.Key, seen.Seen, seen.Reason)
		}
		if len(keys) == n {
			return keys, at, false
		}
	}
	return keys, at, true
}

// all scans to the end.
func all(t *testing.T, s objects.Scanner, prefix, after string) []string {
	t.Helper()
	keys, _, _ := step(t, s, prefix, after, -1)
	return keys
}

// scanFromEveryKey: behind each key, and behind what is no key, comes the rest.
func scanFromEveryKey(t *testing.T, b objects.Bucket, s objects.Scanner) {
	keys := slices.Concat(odd, []string{"a", "a b", "a.b", "aa/b", "b/a/c", "b/a.c", "b/a-c", "b.c", "é/x", "z"})
	for _, key := range keys {
		put(t, b, key, key)
	}
	slices.Sort(keys)
	behind := slices.Concat(keys, []string{"", "!", "a/", "b", "b/", "b/a", "b/a/", "b/a0", "dms", "dms/", "dms/rms", "dms/rms/marker", "é", "zz"})
	for _, prefix := range []string{"", "b/", "b/a", "dms/rms/", "dms//", "none"} {
		for _, after := range behind {
			want := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.HasPrefix(key, prefix) || key <= after })
			checkKeys(t, fmt.Sprintf("%q behind %q", prefix, after), all(t, s, prefix, after), want...)
		}
	}
}

// scanInSteps: each step goes on where the one before stopped, and tells of an object
// what Stat does.
func scanInSteps(t *testing.T, b objects.Bucket, s objects.Scanner) {
	for i := range 10 {
		put(t, b, fmt.Sprintf("a/%d/x", i), strings.Repeat("x", i))
	}
	want := all(t, s, "", "")
	for n := 1; n <= 4; n++ {
		var got []string
		for after, done := "", false; !done; {
			var keys []string
			keys, after, done = step(t, s, "", after, n)
			got = append(got, keys...)
		}
		checkKeys(t, fmt.Sprintf("in steps of %d", n), got, want...)
	}
	for seen, err := range s.ScanAfter(t.Context(), "", "a/3/x", nil) {
		must(t, err)
		info, err := b.Stat(t.Context(), seen.Key)
		must(t, err)
		if seen.Seen == objects.SeenObject && (seen.ETag != info.ETag || seen.Size != info.Size || !seen.LastModified.Equal(info.LastModified)) {
			t.Errorf("seen as %+v, Stat tells of %+v", seen.Info, info)
		}
	}
}

// scanOfManyPages begins where no page of the service does.
func scanOfManyPages(t *testing.T, b objects.Bucket, s objects.Scanner) {
	var keys []string
	for i := range 64 {
		keys = append(keys, fmt.Sprintf("many/dt=2024-07-%02d/é %d.csv", i/8, i))
	}
	slices.Sort(keys)
	for _, key := range keys {
		put(t, b, key, "")
	}
	for _, i := range []int{0, 1, 6, 30, 62, 63} {
		checkKeys(t, "behind "+keys[i], all(t, s, "many/", keys[i]), keys[i+1:]...)
	}
	checkKeys(t, "from the beginning", all(t, s, "", ""), keys...)
}

// scanAsks: it asks of each object, in order, and only tells that it passed the others.
func scanAsks(t *testing.T, b objects.Bucket, s objects.Scanner) {
	for _, key := range []string{"a/1", "a/2", "b/1", "b/2", "c/1"} {
		put(t, b, key, "x")
	}
	var asked, handed, passed []string
	want := func(key string, whole bool) bool {
		if !whole {
			t.Errorf("%s is not whole", key)
		}
		asked = append(asked, key)
		return strings.HasSuffix(key, "2")
	}
	for seen, err := range s.ScanAfter(t.Context(), "", "a/1", want) {
		must(t, err)
		switch seen.Seen {
		case objects.SeenObject:
			handed = append(handed, seen.Key)
		case objects.SeenOther:
			if passed = append(passed, seen.Key); seen.ETag != "" {
				t.Errorf("of what nobody asks for it tells %+v", seen.Info)
			}
		}
	}
	checkKeys(t, "asked for", asked, "a/2", "b/1", "b/2", "c/1")
	checkKeys(t, "handed over", handed, "a/2", "b/2")
	checkKeys(t, "passed", passed, "b/1", "c/1")
}

// scanBesideChanges: whatever comes and goes between two steps, what is there all the
// while is seen once, and so is what comes in front.
func scanBesideChanges(t *testing.T, b objects.Bucket, s objects.Scanner) {
	for _, key := range []string{"a/1", "a/2", "a/3", "b/1", "c/1"} {
		put(t, b, key, "x")
	}
	first, at, _ := step(t, s, "", "", 2)
	checkKeys(t, "the first step", first, "a/1", "a/2")
	must(t, b.Remove(t.Context(), "a/2")) // where it stands
	must(t, b.Remove(t.Context(), "b/1"))
	put(t, b, "a/0", "x")
	put(t, b, "a/20", "x")
	put(t, b, "b/0", "x")
	checkKeys(t, "then", all(t, s, "", at), "a/20", "a/3", "b/0", "c/1")
}

// scanPastWhatIsGone: a step that stops at whatever it comes to comes to the end, even
// where all was deleted.
func scanPastWhatIsGone(t *testing.T, b objects.Bucket, s objects.Scanner) {
	for i := range 30 {
		key := fmt.Sprintf("a/%02d", i)
		put(t, b, key, "x")
		if i > 2 {
			must(t, b.Remove(t.Context(), key))
		}
	}
	put(t, b, "b", "x")
	var keys []string
	for after, steps := "", 0; ; steps++ {
		if steps > 100 {
			t.Fatalf("it does not get on behind %q", after)
		}
		at := after
		for seen, err := range s.ScanAfter(t.Context(), "", after, nil) {
			must(t, err)
			if at = seen.Key; seen.Seen == objects.SeenObject {
				keys = append(keys, seen.Key)
			}
			break
		}
		if at == after {
			break
		}
		after = at
	}
	checkKeys(t, "seen", keys, "a/00", "a/01", "a/02", "b")
}
