package objectstest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openblotter/blotter/pkg/objects"
)

// odd keys are legal on S3; DMS and those who name tables write some of them.
var odd = []string{
	"dms/rms/incident reports/LOAD00000001.csv",
	"dms/rms/a+b/20240705-000000000.csv",
	"dms/rms/a%2Fb/x.csv",
	"dms/rms/100%/x.csv",
	"dms/rms/a&b=c?d#e/x.csv",
	"dms/rms/Größe/日本語/x.csv",
	"dms/rms/e\u0301/x.csv", // e and an accent, not é
	"dms/rms/é/x.csv",
	"dms/rms/back\\slash/x.csv",
	"dms/rms/\"quoted\" 'name'/x.csv",
	"dms/rms/tab\there/new\nline.csv",
	"dms/rms/.hidden/.x.csv",
	"dms/rms/~/x.csv",
	"dms/rms/@txn/x.csv",
	"dms/rms/$folder$",
	"dms/rms/marker/",
	"dms//empty/part",
	"dms///two/empty/parts",
	"/begins/with/slash",
	"dots/./x",
	"dots/../x",
	"dots/.../x",
	"dots/..x/..",
	".blotter-tmp/x",
	".blotter-key-/x",
	"reserved/.blotter-key-%2E",
	"reserved/.blotter-bytes-a",
	"reserved/.blotter-",
	strings.Repeat("long/", 180) + "x",
	"part/" + strings.Repeat("p", 200),
}

func oddKeys(t *testing.T, b objects.Bucket) {
	for _, key := range odd {
		if _, err := tryPut(t, b, key, "content of "+key); err != nil {
			t.Errorf("create %q: %v", key, err)
		}
	}
	for _, key := range odd {
		if got := read(t, b, key, objects.Version{}); got != "content of "+key {
			t.Errorf("%q holds %q", key, got)
		}
		checkKeys(t, "listed by its own key", slices.DeleteFunc(list(t, b, key), func(k string) bool { return k != key }), key)
	}
	sorted := slices.Clone(odd)
	slices.Sort(sorted)
	checkKeys(t, "listed", list(t, b, ""), sorted...)
	for _, key := range odd {
		must(t, b.Remove(t.Context(), key))
	}
	checkKeys(t, "left", list(t, b, ""))
}

// listOrder: keys come by their bytes, which is not the order of a walk through folders.
func listOrder(t *testing.T, b objects.Bucket) {
	keys := []string{
		"a", "a b", "a!", "a-b", "a.b", "aa/b", "a0", "b/a/c", "b/a.c", "b/a-c", "b/aa", "b.c", "b-c", "b0",
		"é/x", "z", "Z", "c/d/e/f", "c/d/e.f", "c/d.e", "c.d",
	}
	for _, key := range keys {
		put(t, b, key, key)
	}
	slices.Sort(keys)
	checkKeys(t, "listed", list(t, b, ""), keys...)
	for info, err := range b.List(t.Context(), "") {
		must(t, err)
		if info.Size != int64(len(info.Key)) || info.LastModified.IsZero() {
			t.Errorf("listed as %+v", info)
		}
		if stat, err := b.Stat(t.Context(), info.Key); err != nil || info.ETag != "" && info.ETag != stat.ETag {
			t.Errorf("listed as %+v, but Stat tells of %+v, %v", info, stat, err)
		}
	}
}

func listPrefix(t *testing.T, b objects.Bucket) {
	keys := []string{"rms/a/1", "rms/a/2", "rms/ab/1", "rms/a.csv", "rms2/x", "rm"}
	for _, key := range keys {
		put(t, b, key, "x")
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "r", "rm", "rms", "rms/", "rms/a", "rms/a/", "rms/a/1", "rms/ab", "rms2", "x", "rms/a/1/", "/", "//", "rms//"} {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		checkKeys(t, fmt.Sprintf("listed with prefix %q", prefix), list(t, b, prefix), want...)
	}
}

// listMany is more than one page of any service.
func listMany(t *testing.T, b objects.Bucket) {
	var keys []string
	for i := range 1200 {
		keys = append(keys, fmt.Sprintf("many/%04d", i))
	}
	var wg sync.WaitGroup
	for part := range slices.Chunk(keys, len(keys)/8) {
		wg.Go(func() {
			for _, key := range part {
				if _, err := tryPut(t, b, key, ""); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	checkKeys(t, "listed", list(t, b, "many/"), keys...)
}

func listStops(t *testing.T, b objects.Bucket) {
	for i := range 10 {
		put(t, b, fmt.Sprintf("a/%d/x", i), "x")
	}
	n := 0
	for _, err := range b.List(t.Context(), "") {
		must(t, err)
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("the listing went on to %d", n)
	}
}

// listWhileChanging: objects that are there all the while are listed once, in
// order, whatever comes and goes beside them.
func listWhileChanging(t *testing.T, b objects.Bucket) {
	var keys []string
	for i := range 50 {
		keys = append(keys, fmt.Sprintf("a/%02d/stays", i))
		put(t, b, keys[i], "x")
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			key := fmt.Sprintf("a/%02d/goes/deep", i%50)
			if _, err := tryPut(t, b, key, "x"); err != nil {
				t.Error(err)
				return
			}
			if err := b.Remove(t.Context(), key); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 20 {
		got := list(t, b, "a/")
		if !slices.IsSorted(got) {
			t.Error("the listing is not in order")
		}
		checkKeys(t, "listed of what stays", slices.DeleteFunc(got, func(k string) bool {
			return strings.HasSuffix(k, "/goes/deep")
		}), keys...)
	}
	close(stop)
	wg.Wait()
}
