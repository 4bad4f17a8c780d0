package transform

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// FuzzManifest: whatever stands where a manifest should is read or refused
// within memory by its size; what is read agrees with itself, and is the same
// once it was written again.
func FuzzManifest(f *testing.F) {
	for _, text := range []string{
		csvOf([]string{"I", "2024-01-15 07:00:00", "1", "open", "1.50", seqOf(1)}, []string{"D", "2024-01-15 07:00:01", "2", "", "", seqOf(2)}),
		csvOf([]string{"U", "2024-01-15 07:00:00", "1", "open", "", seqOf(1)}, []string{"U", "2024-01-15 07:00:00", "1", "shut", "", seqOf(1)}),
		"",
	} {
		b := newBench(f, reports())
		result, err := b.run(b.put(changeKey, text))
		if err != nil {
			f.Fatal(err)
		}
		data := b.staging.objects[result.ManifestKey]
		f.Add(data)
		f.Add(data[:len(data)/2])
		f.Add(append(bytes.Clone(data), data...))
		f.Add(bytes.ReplaceAll(data, []byte(`:1`), []byte(`:-1`)))
		f.Add(bytes.ReplaceAll(data, []byte(`"rows"`), []byte(`"more"`)))
		wrapped := result.Manifest // its counts add up only because they wrap around
		wrapped.Counts.Inserts, wrapped.Counts.Updates = math.MaxInt64, math.MaxInt64
		wrapped.Counts.Deletes = wrapped.Counts.RowsRead + 2
		if data, err = json.Marshal(wrapped); err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Manifest
		var err error
		if used := allocated(func() { m, err = decodeManifest(data) }); used > 1<<20+256*uint64(len(data)) {
			t.Fatalf("%d bytes are allocated for a manifest of %d", used, len(data))
		}
		if err != nil {
			return
		}
		var staged int64
		for _, file := range append(m.Rows, m.Deletes...) {
			if file.Rows <= 0 || file.Bytes <= 0 || file.MinKey > file.MaxKey {
				t.Fatalf("%+v is taken", file)
			}
			if staged += file.Rows; staged < 0 {
				t.Fatalf("the staged rows of %s are beyond any number", data)
			}
		}
		c := m.Counts
		for _, n := range []int64{c.Inserts, c.Updates, c.Deletes} {
			if n < 0 || n > c.RowsRead {
				t.Fatalf("counts %+v are taken", c)
			}
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeManifest(again)
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%s is written again as %s: %v", data, again, err)
		}
	})
}
