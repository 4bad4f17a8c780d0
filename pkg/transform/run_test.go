package transform

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

func changePosition(mode dms.OrderMode, seq string, micros int64, order dms.FileOrder) (dms.Position, error) {
	b, err := dms.AppendChangePosition(nil, mode, []byte(seq), micros, order)
	return dms.Position(b), err
}

func TestLastChangeOfKey(t *testing.T) {
	b := newBench(t, reports())
	f := b.put(changeKey, csvOf(
		[]string{"I", "2024-01-15 07:00:00", "2", "NEW", "1.50", seqOf(5)},
		[]string{"U", "2024-01-15 07:00:00", "1", "LATE", "2", seqOf(9)},
		[]string{"u", "2024-01-15 07:00:00", "1", "EARLY", "3", seqOf(8)},
		[]string{"d", "2024-01-15 07:00:00", "3", "", "", seqOf(7)},
		[]string{"U", "2024-01-15 07:00:00", "-4", "a,\"b\"\nc", "", seqOf(6)},
	))
	r := b.mustRun(f)
	if got, want := b.stagedRows(r.Manifest.Rows), []string{`-4|a,"b"` + "\n" + `c|\N|#5`, "1|LATE|200|#2", "2|NEW|150|#1"}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
	if got, want := b.stagedRows(r.Manifest.Deletes), []string{"3|#4"}; !slices.Equal(got, want) {
		t.Errorf("deletes are %q, want %q", got, want)
	}
	if got, want := r.Manifest.Counts, (Counts{RowsRead: 5, Inserts: 1, Updates: 3, Deletes: 1, DuplicatesDropped: 1}); got != want {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
	low, _ := changePosition(dms.OrderByChangeSeq, seqOf(5), 0, f.Order)
	high, _ := changePosition(dms.OrderByChangeSeq, seqOf(9), 0, f.Order)
	if m := r.Manifest; m.MinPosition != low || m.MaxPosition != high {
		t.Errorf("positions %s to %s, want %s to %s", m.MinPosition, m.MaxPosition, low, high)
	}
	if r.Manifest.Input.SHA256 != f.Object.ETag || r.Manifest.Input.Bytes != f.Object.Size {
		t.Errorf("input is %+v", r.Manifest.Input)
	}
}

func TestProvenance(t *testing.T) {
	table := reports()
	table.DMS.ChangeSeqColumn = nil
	for _, tt := range []struct{ key, content string }{
		{changeKey, "I,1969-12-31 23:59:59.5,1,A,\n"},
		{loadKey, "2024-01-15 07:00:00,1,A,\n"},
	} {
		b := newBench(t, table)
		f := b.put(tt.key, tt.content)
		r := b.mustRun(f)
		staged, err := OpenStaged(t.Context(), b.staging, r.Manifest.Rows[0])
		if err != nil {
			t.Fatal(err)
		}
		want := dms.LoadPosition(f.Order)
		if f.Kind == dms.KindChange {
			want, _ = changePosition(dms.OrderByTimestamp, "", -500_000, f.Order)
		}
		for row, err := range staged.Rows(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if got := row[3].String(); got != string(f.ID) {
				t.Errorf("_blotter_file is %s, want %s", got, f.ID)
			}
			if got := row[5].String(); got != string(want) {
				t.Errorf("_blotter_position is %s, want %s", got, want)
			}
		}
		if err := staged.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMovedKeys(t *testing.T) {
	table := reports()
	table.DMS.BeforeImagePrefix = ptr("before_")
	table.Layouts = []registry.Layout{{Kind: dms.KindChange, Columns: []string{"Op", "ts", "id", "status", "amount", "seq", "before_id", "before_status"}}}
	b := newBench(t, table)
	r := b.mustRun(b.put(changeKey, csvOf(
		[]string{"I", "x", "17", "A", "", seqOf(1), "", ""},
		[]string{"U", "x", "18", "A", "", seqOf(2), "17", "A"},
		[]string{"U", "x", "19", "A", "", seqOf(3), "18", "A"},
		[]string{"U", "x", "19", "B", "", seqOf(4), "19", "A"},
	)))
	if got, want := b.stagedRows(r.Manifest.Rows), []string{`19|B|\N|#4`}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
	if got, want := b.stagedRows(r.Manifest.Deletes), []string{"17|#2", "18|#3"}; !slices.Equal(got, want) {
		t.Errorf("deletes are %q, want %q", got, want)
	}
	if c := r.Manifest.Counts; c.KeysMoved != 2 || c.DuplicatesDropped != 3 {
		t.Errorf("counts are %+v", c)
	}
}

func TestTies(t *testing.T) {
	byTime := reports()
	byTime.DMS.ChangeSeqColumn = nil
	byFile := reports()
	byFile.DMS.ChangeSeqColumn, byFile.DMS.TimestampColumn = nil, nil
	at := "2024-01-15 07:59:26.480361"
	for _, tt := range []struct {
		name    string
		table   registry.Table
		key     string
		content string
		ties    int64
	}{
		{"timestamp", byTime, changeKey, csvOf([]string{"I", at, "1", "A", ""}, []string{"U", at, "1", "B", ""}, []string{"D", at, "1", "", ""}), 2},
		{"overtaken ties do not count", byTime, changeKey, csvOf([]string{"I", at, "1", "A", ""}, []string{"U", at, "1", "B", ""}, []string{"U", at + "", "2", "C", ""},
			[]string{"U", "2024-01-15 08:00:00", "1", "D", ""}), 0},
		{"file order", byFile, changeKey, csvOf([]string{"I", "1", "A", ""}, []string{"D", "1", "", ""}), 0},
		{"load", byTime, loadKey, csvOf([]string{at, "1", "A", ""}, []string{at, "1", "B", ""}), 0},
	} {
		b := newBench(t, tt.table)
		if r := b.mustRun(b.put(tt.key, tt.content)); r.Manifest.Counts.AmbiguousTies != tt.ties {
			t.Errorf("%s: %d ties, want %d", tt.name, r.Manifest.Counts.AmbiguousTies, tt.ties)
		}
	}
}

func TestWithoutKey(t *testing.T) {
	table := reports()
	table.PrimaryKey = nil
	b := newBench(t, table)
	b.cfg.MemoryBytes = 600
	var rows [][]string
	for i := range 9 {
		rows = append(rows, []string{"I", "x", fmt.Sprint(9 - i), "same", "", seqOf(1)})
	}
	r := b.mustRun(b.put(changeKey, csvOf(rows...)))
	got := b.stagedRows(r.Manifest.Rows)
	if len(got) != 9 || got[0] != `9|same|\N|#1` || got[8] != `1|same|\N|#9` {
		t.Errorf("rows are %q", got)
	}
	if s := r.Manifest.Rows[0]; s.MinKey != "" || s.MaxKey != "" {
		t.Errorf("a key range without a key: %+v", s)
	}
}

func TestHeaders(t *testing.T) {
	table := reports()
	table.DMS.Header = true
	b := newBench(t, table)
	r := b.mustRun(b.put(changeKey, "OP,TS,Status,ID,Seq\nI,x,A,1,"+seqOf(1)+"\n"))
	if got, want := b.stagedRows(r.Manifest.Rows), []string{`1|A|\N|#2`}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
	if r := b.mustRun(b.put(changeKey, "Op,ts,id,seq\n")); r.Manifest.Counts != (Counts{}) || len(r.Manifest.Rows) != 0 {
		t.Errorf("a header alone gave %+v", r.Manifest)
	}
}

func TestNulls(t *testing.T) {
	table := reports()
	table.DMS.Null = "NULL"
	b := newBench(t, table)
	r := b.mustRun(b.put(changeKey, strings.Join([]string{
		"I,x,1,,NULL," + seqOf(1), `I,x,2,"NULL",NULL,` + seqOf(2), "I,x,3,NULL,1," + seqOf(3), "I,x,4,null,1," + seqOf(4), ""}, "\r\n")))
	if got, want := b.stagedRows(r.Manifest.Rows), []string{`1||\N|#1`, `2|NULL|\N|#2`, `3|\N|100|#3`, "4|null|100|#4"}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
	table.DMS.Null = ""
	b = newBench(t, table)
	r = b.mustRun(b.put(changeKey, `I,x,1,,,`+seqOf(1)+"\nI,x,2,\"\",,"+seqOf(2)))
	if got, want := b.stagedRows(r.Manifest.Rows), []string{`1|\N|\N|#1`, `2||\N|#2`}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
}

func zipped(parts ...string) string {
	var buf bytes.Buffer
	for _, part := range parts {
		w := gzip.NewWriter(&buf)
		_, _ = w.Write([]byte(part))
		_ = w.Close()
	}
	return buf.String()
}

func TestGzipMembers(t *testing.T) {
	for _, key := range []string{changeKey + ".gz", changeKey} {
		b := newBench(t, reports())
		content := zipped("I,x,1,A,,"+seqOf(1)+"\nI,x,2,B", ",,"+seqOf(2)+"\n", "")
		f := b.put(key, content)
		r := b.mustRun(f)
		if got, want := b.stagedRows(r.Manifest.Rows), []string{`1|A|\N|#1`, `2|B|\N|#2`}; !slices.Equal(got, want) {
			t.Errorf("rows are %q, want %q", got, want)
		}
		if r.Manifest.Input.SHA256 != etagOf([]byte(content)) {
			t.Error("the input's hash is not that of the compressed bytes")
		}
	}
}

func TestEmptyFiles(t *testing.T) {
	header := reports()
	header.DMS.Header = true
	for _, tt := range []struct {
		table        registry.Table
		key, content string
	}{{reports(), changeKey, ""}, {reports(), changeKey + ".gz", zipped("")}, {header, changeKey, "Op,ts,id,seq\n"}} {
		b := newBench(t, tt.table)
		r := b.mustRun(b.put(tt.key, tt.content))
		if m := r.Manifest; m.Counts != (Counts{}) || len(m.Rows)+len(m.Deletes) != 0 || m.MaxPosition != "" {
			t.Errorf("%s: %+v", tt.key, m)
		}
	}
}

// TestNotAHeader: a row that holds the name of a column here and there is a row.
func TestNotAHeader(t *testing.T) {
	b := newBench(t, reports())
	r := b.mustRun(b.put(changeKey, "I,ts,1,status,,"+seqOf(1)+"\n"))
	if got, want := b.stagedRows(r.Manifest.Rows), []string{`1|status|\N|#1`}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
}

// TestNoBeforeImage: updates are counted whose file has no before-images although
// they are registered; what files have them not need not say so.
func TestNoBeforeImage(t *testing.T) {
	table := reports()
	table.DMS.Header = true
	const content = "Op,ts,id,status,amount,seq%s\nI,x,17,A,,%s%s\nU,x,18,A,,%s%s\nU,x,18,B,,%s%s\n"
	file := func(name, value string) string {
		return fmt.Sprintf(content, name, seqOf(1), value, seqOf(2), value, seqOf(3), value)
	}
	for name, tt := range map[string]struct {
		prefix  *string
		content string
		want    int64
	}{
		"registered and missing": {ptr("before_"), file("", ""), 2},
		"registered and there":   {ptr("before_"), file(",before_id", ",17"), 0},
		"of another column":      {ptr("before_"), file(",before_status", ",A"), 2},
		"not registered":         {nil, file("", ""), 0},
	} {
		table.DMS.BeforeImagePrefix = tt.prefix
		b := newBench(t, table)
		if c := b.mustRun(b.put(changeKey, tt.content)).Manifest.Counts; c.NoBeforeImage != tt.want || c.Proto().GetNoBeforeImage() != tt.want {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestRunAgain(t *testing.T) {
	b := newBench(t, reports())
	f := b.put(changeKey, "I,x,1,A,,"+seqOf(1)+"\nD,x,2,,,"+seqOf(2)+"\n")
	fault := errors.New("answer lost")
	for _, broken := range []string{"rows", "deletes", "manifest"} {
		done := false
		b.staging.onCommit = func(key string) error {
			if strings.Contains(key, broken) && !done {
				done = true
				return fault
			}
			return nil
		}
		if _, err := b.run(f); !errors.Is(err, fault) {
			t.Fatalf("%s: %v", broken, err)
		}
		if _, err := b.staging.Stat(t.Context(), StagePrefix(b.table.ID, f.ID, 7)+ManifestName); !errors.Is(err, objects.ErrNotFound) {
			t.Fatalf("%s: a manifest was left: %v", broken, err)
		}
	}
	b.staging.onCommit = nil
	first := b.mustRun(f)
	b.raw.put(changeKey, []byte("gone"))
	again := b.mustRun(f)
	if !again.Reused || again.ManifestSHA256 != first.ManifestSHA256 {
		t.Errorf("the manifest was not used again: %+v", again)
	}
}

// TestTwoAtOnce: another run of the same job commits the manifest first.
func TestTwoAtOnce(t *testing.T) {
	b := newBench(t, reports())
	f := b.put(changeKey, "I,x,1,A,,"+seqOf(1)+"\n")
	first := b.mustRun(f)
	manifest := b.staging.objects[first.ManifestKey]
	if err := b.staging.Remove(t.Context(), first.ManifestKey); err != nil {
		t.Fatal(err)
	}
	b.staging.onCommit = func(key string) error {
		if key == first.ManifestKey {
			b.staging.put(key, manifest)
		}
		return nil
	}
	if again := b.mustRun(f); again.Reused || again.ManifestSHA256 != first.ManifestSHA256 {
		t.Errorf("the second run gave %+v, the first %+v", again, first)
	}
}

func TestRemoveScratch(t *testing.T) {
	dir := t.TempDir()
	s := &scratch{parent: dir}
	if err := s.newRun().write(newArena(newLayout(reports(), dms.KindLoad), 1)); err != nil {
		t.Fatal(err)
	}
	if err := RemoveScratch(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestRunAgainOverOtherBytes(t *testing.T) {
	b := newBench(t, reports())
	f := b.put(changeKey, "I,x,1,A,,"+seqOf(1)+"\n")
	b.staging.put(StagePrefix(b.table.ID, f.ID, 7)+"rows-00001.parquet", []byte("something else"))
	if _, err := b.run(f); !errors.Is(err, objects.ErrExists) || !strings.Contains(err.Error(), "other content") {
		t.Errorf("other content was taken: %v", err)
	}
}

// TestScratchRemoved: success, refusal, a fault and a cancelled context all
// leave no scratch file.
func TestScratchRemoved(t *testing.T) {
	var rows [][]string
	for i := range 200 {
		rows = append(rows, []string{"I", "x", fmt.Sprint(i % 70), "A", "", seqOf(i)})
	}
	good := csvOf(rows...)
	for name, content := range map[string]string{"good": good, "refused": good + "I,x,1,A,bad," + seqOf(1) + "\n", "fault": good, "cancelled": good} {
		b := newBench(t, reports())
		b.cfg.MemoryBytes, b.cfg.FanIn = 2000, 2
		ctx, cancel := context.WithCancel(t.Context())
		if name == "fault" {
			b.staging.onCommit = func(string) error { return errors.New("disk full") }
		}
		if name == "cancelled" {
			cancel()
		}
		_, err := Run(ctx, b.cfg, Deps{Raw: b.raw, Staging: b.staging}, Job{Table: b.table, File: b.put(changeKey, content), Token: 7})
		if (err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(b.cfg.ScratchDir); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %v %v", name, left, err)
		}
		if b.staging.open != 0 {
			t.Errorf("%s: %d writers left open", name, b.staging.open)
		}
		cancel()
	}
}
