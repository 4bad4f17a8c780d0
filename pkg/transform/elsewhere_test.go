package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
)

// sortedChange is a change as a sorter elsewhere holds it.
type sortedChange struct{ place, change []byte }

// elsewhere does what Run does in three steps, with the sorting between them. The
// ranges of keys are staged in groups of so many.
func (b *bench) elsewhere(f dms.File, rangeBytes int64, group int) (*Result, error) {
	b.t.Helper()
	ctx, deps, job := b.t.Context(), Deps{Raw: b.raw, Staging: b.staging}, Job{Table: b.table, File: f, Token: 7}
	var changes []sortedChange
	reading, done, err := Read(ctx, b.cfg, deps, job, rangeBytes, func(place, change []byte) error {
		changes = append(changes, sortedChange{bytes.Clone(place), bytes.Clone(change)})
		return nil
	})
	if done != nil || err != nil {
		return done, err
	}
	data, err := json.Marshal(reading)
	if err != nil {
		b.t.Fatal(err)
	}
	var told Reading // what another process reads
	if err := json.Unmarshal(data, &told); err != nil {
		b.t.Fatal(err)
	}
	slices.SortFunc(changes, func(x, y sortedChange) int { return bytes.Compare(x.place, y.place) })
	var staged []StagedRange
	for first := 0; first <= len(told.Bounds); first += group {
		var in [][]byte
		for _, c := range changes {
			if r := told.Range(c.place); r >= first && r < first+group {
				in = append(in, c.change)
			}
		}
		part, err := StageSorted(ctx, b.cfg, b.staging, job, told, func() ([]byte, error) {
			if len(in) == 0 {
				return nil, nil
			}
			next := in[0]
			in = in[1:]
			return next, nil
		})
		if err != nil {
			return nil, err
		}
		staged = append(staged, part...)
	}
	slices.Reverse(staged) // they end in any order
	return Seal(ctx, b.staging, job, Engine, told, staged, nil)
}

// sameElsewhere checks that the three steps come to the same end as Run did, to
// the byte as long as one range takes all keys.
func (b *bench) sameElsewhere(f dms.File, result *Result, err error) {
	b.t.Helper()
	other := &bench{t: b.t, cfg: b.cfg, raw: b.raw, staging: newMemBucket(), table: b.table}
	got, otherErr := other.elsewhere(f, 1<<40, 1)
	var failure, otherFailure *Failure
	if errors.As(err, &failure) != errors.As(otherErr, &otherFailure) || (err == nil) != (otherErr == nil) {
		b.t.Fatalf("elsewhere it ends with %v, here with %v", otherErr, err)
	}
	if failure != nil && failure.Error() != otherFailure.Error() {
		b.t.Errorf("elsewhere it fails with %v, here with %v", otherErr, err)
	}
	if err == nil && got.ManifestSHA256 != result.ManifestSHA256 {
		b.t.Errorf("elsewhere the manifest is %+v, here %+v", got.Manifest, result.Manifest)
	}
	here := newMemBucket()
	for key, data := range b.staging.objects {
		if strings.HasPrefix(key, StagePrefix(b.table.ID, f.ID, 7)) {
			here.objects[key] = data
		}
	}
	sameObjects(b.t, here, other.staging)
}

// TestRanges: whatever the changes and the ranges, what is staged by ranges is
// what Run stages: rows, deletes and counts.
func TestRanges(t *testing.T) {
	cut := 0
	for _, mode := range []dms.OrderMode{dms.OrderByChangeSeq, dms.OrderByTimestamp, dms.OrderByFile} {
		t.Run(mode.String(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				b := newBench(t, foldTable(mode))
				f := b.put(changeKey, csvOfChanges(drawChanges(rt, mode), mode))
				whole := b.mustRun(f).Manifest
				other := newBench(t, b.table)
				other.raw = b.raw
				result, err := other.elsewhere(f, rapid.Int64Range(1, 3000).Draw(rt, "range"), rapid.IntRange(1, 3).Draw(rt, "group"))
				if err != nil {
					rt.Fatal(err)
				}
				m := result.Manifest
				if len(m.Rows) > 1 {
					cut++
				}
				if m.Counts != whole.Counts || m.MinPosition != whole.MinPosition || m.MaxPosition != whole.MaxPosition {
					rt.Fatalf("by ranges %+v, whole %+v", m, whole)
				}
				if got, want := other.stagedRows(m.Rows), b.stagedRows(whole.Rows); !slices.Equal(got, want) {
					rt.Fatalf("rows are %q, want %q", got, want)
				}
				if got, want := other.stagedRows(m.Deletes), b.stagedRows(whole.Deletes); !slices.Equal(got, want) {
					rt.Fatalf("deletes are %q, want %q", got, want)
				}
			})
		})
	}
	if cut == 0 {
		t.Error("no file was cut into ranges")
	}
}

// TestRangesAreEven: files whose keys come in order, as full loads do, and in
// none are cut into ranges of about the size asked for, the same every time.
func TestRangesAreEven(t *testing.T) {
	table := foldTable(dms.OrderByFile)
	table.PrimaryKey = nil // by row number
	const rows, rangeBytes = 20_000, 64 << 10
	b := newBench(t, table)
	f := b.put(changeKey, strings.Repeat("I;1;some value;x;\n", rows))
	var places [][]byte
	size := int64(0)
	emit := func(place, change []byte) error {
		places, size = append(places, bytes.Clone(place)), int64(len(change))
		return nil
	}
	job := Job{Table: table, File: f, Token: 7}
	reading, _, err := Read(t.Context(), b.cfg, Deps{Raw: b.raw, Staging: b.staging}, job, rangeBytes, emit)
	if err != nil {
		t.Fatal(err)
	}
	in := make([]int64, len(reading.Bounds)+1)
	for _, place := range places {
		in[reading.Range(place)]++
	}
	for i, n := range in {
		if n*size < rangeBytes/2 || n*size > 2*rangeBytes {
			t.Errorf("range %d of %d holds %d bytes, expected about %d", i, len(in), n*size, rangeBytes)
		}
	}
	again, _, err := Read(t.Context(), b.cfg, Deps{Raw: b.raw, Staging: b.staging}, job, rangeBytes, emit)
	if err != nil || !slices.EqualFunc(again.Bounds, reading.Bounds, bytes.Equal) {
		t.Errorf("read again, the bounds are others (%v)", err)
	}
}

// TestSampleForgets: a sample stays bounded, and its bounds even, however long the
// file is.
func TestSampleForgets(t *testing.T) {
	lay := newLayout(foldTable(dms.OrderByFile), dms.KindChange)
	row := newRowBuilder(lay)
	s := &keySample{}
	const n = 200_000
	for i := range n {
		row.reset(int64(i), opUpsert)
		row.setBytes(lay.key[0], []byte("a key of some length"))
		row.setWord(lay.key[1], uint64(i*7919%n))
		s.add(row.finish())
	}
	if len(s.keys) > maxSample {
		t.Errorf("%d keys are held", len(s.keys))
	}
	if got := len(s.bounds(s.total / 10)); got < 9 || got > 10 {
		t.Errorf("%d bounds for ten ranges", got)
	}
}

// TestSealRefusesHalves: a range that two tasks staged in part is no range.
func TestSealRefusesHalves(t *testing.T) {
	b := newBench(t, reports())
	job := Job{Table: b.table, File: b.put(changeKey, ""), Token: 7}
	if _, err := Seal(t.Context(), b.staging, job, Engine, Reading{Table: b.table}, []StagedRange{{Range: 1}, {Range: 1}}, nil); err == nil {
		t.Error("two halves of a range were sealed")
	}
}
