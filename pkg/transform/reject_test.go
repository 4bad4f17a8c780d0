package transform

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// oneByOne is a table whose bad rows are set aside one by one.
func oneByOne(t registry.Table) registry.Table {
	t.OnBadRow = registry.OnBadRowQuarantine
	return t
}

// rejectedLines reads what was set aside as "row|code|column|record".
func (b *bench) rejectedLines(m Manifest) []string {
	b.t.Helper()
	var out []string
	for _, staged := range m.Rejected {
		if err := VerifySHA256(b.t.Context(), b.staging, staged); err != nil {
			b.t.Error(err)
		}
		r, err := OpenRejected(b.t.Context(), b.staging, staged.Key)
		if err != nil {
			b.t.Fatal(err)
		}
		for row, err := range r.Rows(b.t.Context()) {
			if err != nil {
				b.t.Fatal(err)
			}
			if row.Expected == "" || row.Message == "" || row.Hint == "" || strings.Contains(row.Hint, "skip") {
				b.t.Errorf("row %d does not say what to do with it: %+v", row.Row, row)
			}
			line := fmt.Sprintf("%d|%s|%s|%s", row.Row, row.Code, row.Column, row.Record)
			if row.Also != "" {
				line += "|also " + row.Also
			}
			out = append(out, line)
		}
		if err := r.Close(); err != nil {
			b.t.Error(err)
		}
	}
	return out
}

// TestBadRowsAreSetAside: each way for a row to be bad, between two good ones.
func TestBadRowsAreSetAside(t *testing.T) {
	seq := seqOf(9)
	for _, tt := range []struct {
		name, row, want string
		change          func(*registry.Table)
	}{
		{"too narrow", "I,x,1,A", "2|row.column_count||I,x,1,A", nil},
		{"too wide", `I,x,1,A,1.00,` + seq + `,"more"`, `2|row.column_count||I,x,1,A,1.00,` + seq + `,"more"`, nil},
		{"not UTF-8", "I,x,1,A\xff,1.00," + seq, "2|csv.not_utf8|status|I,x,1,A\xff,1.00," + seq, nil},
		{"not UTF-8 in quotes", "I,x,1,\"A\xff\"\"\n\",1.00," + seq, "2|csv.not_utf8|status|I,x,1,\"A\xff\"\"\n\",1.00," + seq, nil},
		{"value", "U,x,1,A,lots," + seq, "2|value.decimal|amount|U,x,1,A,lots," + seq, nil},
		{"overflow", "U,x,1,A,123456789.00," + seq, "2|value.decimal|amount|U,x,1,A,123456789.00," + seq, nil},
		{"two values", "U,x,one,A,lots," + seq, "2|value.integer|id|U,x,one,A,lots," + seq + "|also value.decimal in amount", nil},
		{"null key", "U,x,,A,1.00," + seq, "2|row.key_null|id|U,x,,A,1.00," + seq, nil},
		{"Op missing", ",x,1,A,1.00," + seq, "2|row.op_missing|Op|,x,1,A,1.00," + seq, nil},
		{"Op unknown", "X,x,1,A,1.00," + seq, "2|row.op_unknown|Op|X,x,1,A,1.00," + seq, nil},
		{"sequence", "I,x,1,A,1.00,9", "2|row.change_seq|seq|I,x,1,A,1.00,9", nil},
		{"a CR at its end", "I,x,1,A,1.00,9\r", "2|row.change_seq|seq|I,x,1,A,1.00,9\r", nil},
		{"delete without a key in the table", "D,x,1,A,1.00," + seq, "2|row.op_without_key|Op|D,x,1,A,1.00," + seq,
			func(t *registry.Table) { t.PrimaryKey = nil }},
		{"before-image", `U,x,1,A,1.00,` + seq + `,old`, `2|value.integer|old_id|U,x,1,A,1.00,` + seq + `,old`, func(t *registry.Table) {
			t.DMS.BeforeImagePrefix = ptr("old_")
			t.Layouts = []registry.Layout{{Kind: dms.KindChange, Columns: []string{"Op", "ts", "id", "status", "amount", "seq", "old_id"}}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, tail := oneByOne(reports()), ""
			if tt.change != nil {
				tt.change(&table)
			}
			if table.Layouts != nil {
				tail = ","
			}
			b := newBench(t, table)
			f := b.put(changeKey, "I,x,5,B,1.00,"+seqOf(1)+tail+"\n"+tt.row+"\r\nI,x,6,C,1.00,"+seqOf(2)+tail)
			m := b.mustRun(f).Manifest
			if got := b.rejectedLines(m); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("set aside %q, want %q", got, tt.want)
			}
			want := []string{"5|B|100|#1", "6|C|100|#3"}
			if got := b.stagedRows(m.Rows); !slices.Equal(got, want) {
				t.Errorf("staged %q, want %q", got, want)
			}
			if c := m.Counts; c != (Counts{RowsRead: 3, Inserts: 2, Rejected: 1}) {
				t.Errorf("counts are %+v", c)
			}
			r, err := OpenRejected(t.Context(), b.staging, m.Rejected[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			if h := r.Header; h.FileID != f.ID || h.Order != f.Order || h.Kind != f.Kind || h.Table != table.ID || h.Columns[2].Name != "id" {
				t.Errorf("the header is %+v", h)
			}
		})
	}
}

// TestWhatBreaksAFileFailsIt whole, also where bad rows are set aside.
func TestWhatBreaksAFileFailsIt(t *testing.T) {
	good := func(n int) string { return fmt.Sprintf("I,x,%d,A,1.00,%s\n", n, seqOf(n)) }
	for _, tt := range []struct {
		name, content, code string
		row                 int64
	}{
		{"every row is bad", strings.Repeat("I,x,1,A,a,"+seqOf(1)+"\n", 20), CodeOnlyBadRows, 1},
		{"no row has a key", "I,x,,A,1.00," + seqOf(1) + "\nI,x,,A,1.00," + seqOf(2) + "\n", CodeOnlyBadRows, 1},
		{"no row tells what it did", "Q,x,1,A,1.00," + seqOf(1) + "\n", CodeOnlyBadRows, 1},
		{"too many", good(1) + strings.Repeat("I,x,,A,1.00,"+seqOf(2)+"\n", MaxRejectedRows+1), CodeTooManyBadRows, 2},
		{"a quote is never closed", good(1) + "I,x,,A,1.00," + seqOf(2) + "\n" + `I,x,2,"A,1.00`, string(dms.CSVUnclosedQuote), 3},
		{"a quote in a field", good(1) + `I,x,2,A"B,1.00,` + seqOf(2), string(dms.CSVBareQuote), 2},
		{"no layout", "I,x,1\n" + good(2), CodeLayout, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, oneByOne(reports()))
			f := b.refused(b.put(changeKey, tt.content))
			if f.Code != tt.code || f.Row != tt.row {
				t.Errorf("%s at row %d: %v; want %s at row %d", f.Code, f.Row, f, tt.code, tt.row)
			}
		})
	}
	for _, rows := range []int{1, 19} {
		t.Run(fmt.Sprintf("%d bad rows and no good one", rows), func(t *testing.T) {
			b := newBench(t, oneByOne(reports()))
			m := b.mustRun(b.put(changeKey, strings.Repeat("I,x,1,A,a,"+seqOf(1)+"\n", rows))).Manifest
			if m.Counts.Rejected != int64(rows) || len(b.rejectedLines(m)) != rows || m.Counts.Inserts != 0 {
				t.Errorf("counts are %+v", m.Counts)
			}
		})
	}
	t.Run("as many as are taken", func(t *testing.T) {
		b := newBench(t, oneByOne(reports()))
		m := b.mustRun(b.put(changeKey, good(1)+strings.Repeat("I,x,,A,1.00,"+seqOf(2)+"\n", MaxRejectedRows))).Manifest
		if m.Counts.Rejected != MaxRejectedRows || len(b.rejectedLines(m)) != MaxRejectedRows {
			t.Errorf("%d rows are set aside", m.Counts.Rejected)
		}
	})
}

// TestRejectedFilesAreCut like all staged files, into the same bytes again.
func TestRejectedFilesAreCut(t *testing.T) {
	b := newBench(t, oneByOne(reports()))
	b.cfg.MaxFileBytes = 1
	random := rand.New(rand.NewPCG(1, 2))
	long := func() string { // which no compression makes small
		var s strings.Builder
		for range 70_000 {
			fmt.Fprintf(&s, "%016x", random.Uint64())
		}
		return s.String()
	}
	var content strings.Builder
	var want []string
	for n := range 12 {
		row := fmt.Sprintf("I,x,%d,%s,bad,%s", n, long(), seqOf(n))
		content.WriteString(row + "\n")
		want = append(want, fmt.Sprintf("%d|value.decimal|amount|%s", n+1, row))
	}
	content.WriteString("I,x,99,A,1.00," + seqOf(99) + "\n")
	f := b.put(changeKey, content.String())
	m := b.mustRun(f).Manifest
	if len(m.Rejected) < 3 {
		t.Errorf("%d files", len(m.Rejected))
	}
	compareLines(t, b.rejectedLines(m), want)
	again := newBench(t, b.table)
	again.raw, again.cfg.MaxFileBytes, again.cfg.MemoryBytes = b.raw, 1, 1
	again.mustRun(f)
	sameObjects(t, b.staging, again.staging)
}

// TestRejectedFields: a record is taken apart into what stood in the file.
func TestRejectedFields(t *testing.T) {
	h := RejectedHeader{Delimiter: ";", Null: "NULL"}
	for record, want := range map[string][]string{
		"":                             {""},
		"a;NULL;\"NULL\";":             {"a", "∅", "NULL", ""},
		"\xef\xbb\xbfa;\"b\"\"\n;\"\r": nil,
		"a;b\r":                        {"a", "b\r"},
		"\xef\xbb\xbfa;\"\"\"b\n\"":    {"\ufeffa", "\"b\n"},
		"\xff;x":                       {"\xff", "x"},
	} {
		fields, err := h.Fields(RejectedRow{Row: 1, Record: []byte(record)})
		var got []string
		for _, f := range fields {
			if f.Null {
				got = append(got, "∅")
			} else {
				got = append(got, string(f.Text))
			}
		}
		if (err == nil) != (want != nil) || !slices.Equal(got, want) {
			t.Errorf("%q gives %q (%v), want %q", record, got, err, want)
		}
	}
}

func TestRejectedParquetRows(t *testing.T) {
	table := oneByOne(reports())
	table.DMS.Format, table.DMS.ChangeSeqColumn, table.DMS.TimestampColumn = registry.FormatParquet, nil, nil
	table.Columns = append(table.Columns, column(8, "photo", "binary"), column(9, "born", "date"), column(10, "at", "timestamp"), column(11, "ratio", "double"),
		column(12, "part", "real"), column(13, "share", "double"))
	table.Provenance.Next = 14
	type row struct {
		Op     string  `parquet:"Op"`
		ID     *int64  `parquet:"id,optional"`
		Status []byte  `parquet:"status"`
		Amount int64   `parquet:"amount,decimal(2:10)"`
		Photo  []byte  `parquet:"photo"`
		Born   int32   `parquet:"born,date"`
		At     int64   `parquet:"at,timestamp(millisecond)"`
		Ratio  float64 `parquet:"ratio"`
		Part   float32 `parquet:"part"`
		Share  float32 `parquet:"share"`
		Extra  []byte  `parquet:"extra"`
	}
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[row](&buf)
	bad := row{"U", nil, []byte("a \"b\"\xff"), -105, []byte{1, 0xab}, -1, -1, 0.1, 0.1, 0.1, []byte{2}}
	if _, err := w.Write([]row{{"I", ptr(int64(1)), []byte("x"), 1, nil, 0, 0, 0, 0, 0, nil}, bad}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, table)
	m := b.mustRun(b.put("dms/rms/reports/20240115-070100000.parquet", buf.String())).Manifest
	want := "2|value.text|status|" + `"U",,"a ""b""` + "\xff" + `","-1.05","01ab","1969-12-31","1969-12-31 23:59:59.999","0.1","0.1","0.10000000149011612","02"|also row.key_null in id`
	if got := b.rejectedLines(m); !slices.Equal(got, []string{want}) {
		t.Errorf("set aside %q, want %q", got, want)
	}
}
