package transform

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// mend writes the mended file of what was set aside of a file: each row with old
// text in the place of new.
func (b *bench) mend(original dms.File, m Manifest, old, mended string) dms.File {
	b.t.Helper()
	r, err := OpenRejected(b.t.Context(), b.staging, m.Rejected[0].Key)
	if err != nil {
		b.t.Fatal(err)
	}
	var content bytes.Buffer
	w, err := NewMendedWriter(&content, r.Header)
	if err != nil {
		b.t.Fatal(err)
	}
	for row, err := range r.Rows(b.t.Context()) {
		if err != nil {
			b.t.Fatal(err)
		}
		fields, err := r.Header.Fields(row)
		if err != nil {
			b.t.Fatal(err)
		}
		out := MendedRow{Row: row.Row}
		for _, f := range fields {
			text := strings.ReplaceAll(string(f.Text), old, mended)
			if f.Null {
				out.Fields = append(out.Fields, nil)
			} else {
				out.Fields = append(out.Fields, &text)
			}
		}
		if err := w.Write(out); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		b.t.Fatal(err)
	}
	return b.mendedFile(r.Header, content.String())
}

func (b *bench) mendedFile(h RejectedHeader, content string) dms.File {
	const key = "mended.jsonl"
	b.raw.put(key, []byte(content))
	o := dms.Object{Bucket: "memory", Key: key, ETag: etagOf([]byte(content)), Size: int64(len(content))}
	id := dms.NewFileID(o, dms.KindChange)
	return dms.File{ID: id, Object: o, Kind: dms.KindChange, Order: dms.MendedOrder(h.Order, id), Part: h.Part, Mending: h.Mending()}
}

// TestMendedRowsAreStagedAsIfNeverBad: whatever the file is, a mended row has the
// number, the position and the values that it had if it had been good.
func TestMendedRowsAreStagedAsIfNeverBad(t *testing.T) {
	header := oneByOne(reports())
	header.DMS.Header, header.DMS.OpInFullLoad = true, true
	parquetTable := oneByOne(reports())
	parquetTable.DMS.Format, parquetTable.DMS.TimestampColumn = registry.FormatParquet, nil
	asParquet := func(b *bench, amount, key string) dms.File {
		cols := []parquetColumn{{"Op", parquet.String()}, {"id", parquet.Int(64)}, {"status", parquet.String()}, {"amount", parquet.String()}, {"seq", parquet.String()}, {"extra", parquet.String()}}
		return b.put(key, parquetFile(b.t, cols,
			[]any{"I", int64(1), "A", "1.00", seqOf(1), "e"}, []any{"U", int64(2), "B \"x\"", amount, seqOf(9), "f"}))
	}
	for _, tt := range []struct {
		name  string
		table registry.Table
		file  func(b *bench, amount string) dms.File
		row   string
	}{
		{"changes", oneByOne(reports()), func(b *bench, amount string) dms.File {
			return b.put(changeKey, "I,x,1,A,1.00,"+seqOf(1)+"\nU,x,2,\"B,\"\"\nb\","+amount+","+seqOf(9)+"\n")
		}, "2|B,\"\nb|200|#2"},
		{"a load with a header", header, func(b *bench, amount string) dms.File {
			return b.put(loadKey, "Op,id,status,amount,extra\nI,1,A,1.00,e\n,2,,"+amount+",f\n")
		}, "2|\\N|200|f|#3"},
		{"Parquet", parquetTable, func(b *bench, amount string) dms.File {
			return asParquet(b, amount, strings.TrimSuffix(changeKey, "csv")+"parquet")
		}, "2|B \"x\"|200|f|#2"},
		{"part of a transaction file", oneByOne(reports()), func(b *bench, amount string) dms.File {
			return partOf(b.put(txnKey, "I,persons,rms,1\nI,reports,rms,x,1,A,1.00,"+seqOf(1)+"\nU,reports,rms,x,2,B,"+amount+","+seqOf(9)+"\n"), "rms", "reports")
		}, "2|B|200|#3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.table)
			bad := tt.file(b, "two")
			m := b.mustRun(bad).Manifest
			if m.Counts.Rejected != 1 {
				t.Fatalf("the counts are %+v", m.Counts)
			}
			mended := b.mustRun(b.mend(bad, m, "two", "2.00")).Manifest
			if got := b.stagedRows(mended.Rows); !slices.Equal(got, []string{tt.row}) {
				t.Errorf("staged is %q, expected %q", got, tt.row)
			}
			whole := newBench(t, tt.table)
			good := tt.file(whole, "2.00")
			if good.Part.IsZero() {
				good.ID, good.Order = bad.ID, bad.Order
			} else { // whose id is made of the file's
				good.Order = bad.Order
			}
			want := whole.mustRun(good).Manifest
			if mended.MinPosition != want.MaxPosition || mended.MaxPosition != want.MaxPosition {
				t.Errorf("it stands at %s to %s, expected at %s", mended.MinPosition, mended.MaxPosition, want.MaxPosition)
			}
			if !slices.Contains(whole.stagedRows(want.Rows), tt.row) {
				t.Errorf("a good file stages %q", whole.stagedRows(want.Rows))
			}
			if mended.Mending != (dms.Mending{FileID: bad.ID, Kind: bad.Kind, Order: bad.Order, Token: 7}) || mended.Part != bad.Part {
				t.Errorf("the manifest says %+v of %+v", mended.Mending, mended.Part)
			}
		})
	}
}

func TestMendedRowsThatFailTheirFile(t *testing.T) {
	b := newBench(t, oneByOne(reports()))
	original := b.put(changeKey, "I,x,1,A,1.00,"+seqOf(1)+"\nU,x,2,B,two,"+seqOf(9)+"\n")
	m := b.mustRun(original).Manifest
	r, err := OpenRejected(t.Context(), b.staging, m.Rejected[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	h := r.Header
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	other := h
	other.Token++
	for _, tt := range []struct {
		name   string
		header RejectedHeader
		rows   string
		code   string
		row    int64
	}{
		{"bad again", h, `{"row":2,"fields":["U","x","2","B","three","` + seqOf(9) + `"]}`, CodeDecimal, 2},
		{"too few fields", h, `{"row":2,"fields":["U"]}`, CodeColumnCount, 2},
		{"a field too long", h, `{"row":2,"fields":["U","x","2","` + strings.Repeat("B", 101) + `","1","` + seqOf(9) + `"]}`, string(dms.CSVFieldSize), 2},
		{"no JSON", h, `{"row":2,`, CodeFormat, 0},
		{"two objects", h, `{"row":2,"drop":true}{"row":3,"drop":true}`, CodeFormat, 0},
		{"an unknown field", h, `{"row":2,"values":[]}`, CodeFormat, 0},
		{"not ascending", h, "{\"row\":3,\"drop\":true}\n{\"row\":3,\"drop\":true}", CodeFormat, 3},
		{"of another token", other, `{"row":2,"drop":true}`, CodeFormat, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, oneByOne(reports()))
			b.cfg.MaxFieldBytes = 100
			var content bytes.Buffer
			if _, err := NewMendedWriter(&content, tt.header); err != nil {
				t.Fatal(err)
			}
			f := b.mendedFile(tt.header, content.String()+tt.rows+"\n")
			f.Mending, f.Order = h.Mending(), dms.MendedOrder(h.Order, f.ID)
			failure := b.refused(f)
			if failure.Code != tt.code || failure.Row != tt.row || failure.Hint == "" {
				t.Errorf("the failure is %+v, expected %s of row %d", failure, tt.code, tt.row)
			}
		})
	}
}

// TestDroppedRowsStageNothing, and are counted by nobody but the mended file.
func TestDroppedRowsStageNothing(t *testing.T) {
	b := newBench(t, oneByOne(reports()))
	h := RejectedHeader{Table: b.table.ID, FileID: "f", Kind: dms.KindChange, Order: "T1", Token: 3}
	for _, name := range []string{"Op", "ts", "id", "status", "amount", "seq"} {
		h.Columns = append(h.Columns, RejectedColumn{Name: name, Type: registry.Type{Kind: registry.String}})
	}
	var content bytes.Buffer
	w, err := NewMendedWriter(&content, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(MendedRow{Row: 2, Drop: true}), w.Write(MendedRow{Row: 7, Drop: true})); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(MendedRow{Row: 7, Drop: true}); err == nil {
		t.Error("a row is written twice")
	}
	if text := "\xff"; w.Write(MendedRow{Row: 8, Fields: []*string{&text}}) == nil {
		t.Error("text that is not UTF-8 is written")
	}
	f := b.mendedFile(h, content.String())
	if m := b.mustRun(f).Manifest; m.Counts != (Counts{}) || len(m.Rows)+len(m.Deletes) > 0 {
		t.Errorf("staged is %+v", m)
	}
	found, err := CheckMended(t.Context(), b.cfg, b.raw, Job{Table: b.table, File: f, Token: 1})
	if err != nil || found.Rows != "" || found.Dropped != "2,7" || len(found.Faults) > 0 {
		t.Errorf("the check finds %+v (%v)", found, err)
	}
}
