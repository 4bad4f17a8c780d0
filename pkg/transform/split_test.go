package transform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

const txnKey = "dms/cdc/CDC_TXN-20240115070200000.csv"

// txnTable is the pseudo-table of the database of reports.
func txnTable(t testing.TB) registry.Table {
	t.Helper()
	table := reports()
	cdc := "cdc/"
	table.Prefix, table.DMS.CDCPath = "dms/", &cdc
	txn, ok := table.OfTransactions()
	if !ok {
		t.Fatal("no pseudo-table")
	}
	txn.Version = 1
	return txn
}

// partOf makes the file that one table's rows of a transaction file are.
func partOf(f dms.File, schema, table string) dms.File {
	part := dms.Part{FileID: f.ID, Schema: schema, Table: table}
	name, _ := dms.ParseName("CDC_TXN-20240115070200000.csv", dms.NameRules{Place: dms.InTransactions})
	return dms.File{ID: part.ID(), Object: f.Object, Kind: dms.KindChange, Part: part,
		Order: dms.NewFileOrder(name, f.Object.LastModified, part.ID())}
}

func TestSplit(t *testing.T) {
	b := newBench(t, txnTable(t))
	f := b.put(txnKey, csvOf(
		[]string{"I", "reports", "rms", "x", "1", "A", "1.00", seqOf(1)},
		[]string{"u", "persons", "rms", "anything", "at all"},
		[]string{"D", "reports", "rms"},
		[]string{"I", "reports", "hr", "1"},
		[]string{"I", "awsdms_status", "rms", "1"},
		[]string{"I", "a,\"b\"\nc", "rms", "1"},
	))
	m := b.mustRun(f).Manifest
	want := "reports/rms 2, persons/rms 1, reports/hr 1, awsdms_status/rms 1, a,\"b\"\nc/rms 1"
	var got []string
	for _, p := range m.Parts {
		got = append(got, fmt.Sprintf("%s/%s %d", p.Table, p.Schema, p.Rows))
		if id := (dms.Part{FileID: f.ID, Schema: p.Schema, Table: p.Table}).ID(); p.FileID != id {
			t.Errorf("%s.%s has the id %s, want %s", p.Schema, p.Table, p.FileID, id)
		}
	}
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("parts are %s, want %s", s, want)
	}
	if c := m.Counts; c != (Counts{RowsRead: 6, Inserts: 4, Updates: 1, Deletes: 1}) {
		t.Errorf("counts are %+v", c)
	}
	if m.Input.SHA256 != f.Object.ETag || len(m.Rows)+len(m.Deletes)+len(m.Schema) > 0 {
		t.Errorf("the manifest is %+v", m)
	}
	if staged := b.mustRun(f).Staged(); len(staged.GetParts()) != 5 || staged.GetParts()[0].GetRows() != 2 {
		t.Errorf("what is announced is %v", staged)
	}
}

func TestSplitOfNothing(t *testing.T) {
	for name, content := range map[string]string{txnKey: "", txnKey + ".gz": zipped("")} {
		b := newBench(t, txnTable(t))
		if m := b.mustRun(b.put(name, content)).Manifest; len(m.Parts) != 0 || m.Counts.RowsRead != 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestSplitRefusals(t *testing.T) {
	good := "I,reports,rms,1\n"
	long := strings.Repeat("x", 256)
	var many strings.Builder
	for i := range maxParts + 1 {
		fmt.Fprintf(&many, "I,t%d,rms,1\n", i)
	}
	var wide strings.Builder
	for i := range 600 {
		fmt.Fprintf(&wide, "I,%s%d,rms,1\n", long[:240], i)
	}
	for _, tt := range []struct {
		name, key, content string
		code               string
		row                int64
		column             string
		failed             int64
		text               string
	}{
		{"two columns", txnKey, good + "I,reports\nI\n", CodeColumnCount, 2, "", 2, "3 columns or more"},
		{"unknown operation", txnKey, good + "B,reports,rms,1\n", CodeOpUnknown, 2, "operation", 1, "i, u or d"},
		{"a word for an operation", txnKey, good + "insert,reports,rms,1\n", CodeOpUnknown, 2, "operation", 1, "i, u or d"},
		{"no operation", txnKey, good + ",reports,rms,1\n", CodeOpMissing, 2, "operation", 1, "missing op"},
		{"no table", txnKey, good + "I,,rms,1\n", CodeTransactionTable, 2, "table_name", 1, "name its table"},
		{"no schema", txnKey, good + "I,reports,,1\n", CodeTransactionTable, 2, "database_schema_name", 1, "name its table"},
		{"long name", txnKey, good + "I," + long + ",rms,1\n", CodeTransactionTable, 2, "table_name", 1, "255 bytes"},
		{"many tables", txnKey, many.String(), CodeTransactionTables, maxParts + 1, "", 0, "1000 tables"},
		{"long names", txnKey, wide.String(), CodeTransactionTables, 534, "", 0, "131072 bytes"},
		{"utf", txnKey, good + "I,reports,rms,\xff\n", string(dms.CSVNotUTF8), 2, "", 0, "utf"},
		{"quote", txnKey, good + `I,reports,"rms,1`, string(dms.CSVUnclosedQuote), 2, "database_schema_name", 0, "quote"},
		{"bad row before bad text", txnKey, "X,reports,rms,1\nI,reports,rms,\xff\n", CodeOpUnknown, 1, "operation", 0, "i, u or d"},
		{"gzip cut off", txnKey + ".gz", zipped(good)[:30], CodeGzip, 0, "", 0, "gzip"},
		{"not gzip", txnKey + ".gz", good, CodeGzip, 0, "", 0, "gzip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, txnTable(t))
			f := b.refused(b.put(tt.key, tt.content))
			if f.Code != tt.code || f.Row != tt.row || f.Column != tt.column || f.RowsFailed != tt.failed || f.ObjectKey != tt.key {
				t.Errorf("code %s, row %d, column %q, %d rows of %s; want %s, %d, %q, %d", f.Code, f.Row, f.Column, f.RowsFailed, f.ObjectKey,
					tt.code, tt.row, tt.column, tt.failed)
			}
			if !strings.Contains(strings.ToLower(f.Error()), tt.text) {
				t.Errorf("%q does not say %q", f, tt.text)
			}
		})
	}
}

// TestPart: of a transaction file a table takes its own rows, by its own rules,
// under the numbers that they have in the file.
func TestPart(t *testing.T) {
	content := csvOf(
		[]string{"X", "persons", "rms", "no rule of reports"},
		[]string{"I", "reports", "rms", "x", "1", "A", "1.00", seqOf(1)},
		[]string{"I", "reports", "hr", "x", "9", "other schema", "1.00", seqOf(2)},
		[]string{"u", "reports", "rms", "x", "1", "B", "2.00", seqOf(4)},
		[]string{"U", "Reports", "rms", "x", "9", "other spelling", "1.00", seqOf(5)},
		[]string{"D", "reports", "rms", "", "2", "", "", seqOf(6)},
		[]string{"I", "reports", "rms", "x", "3", "multi\nline", "3.00", seqOf(3)},
	)
	parquet, header := reports(), reports()
	parquet.DMS.Format = registry.FormatParquet
	header.DMS.Header = true
	for name, table := range map[string]registry.Table{"csv": reports(), "parquet": parquet, "header": header} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, table)
			whole := b.put(txnKey, content)
			f := partOf(whole, "rms", "reports")
			m := b.mustRun(f).Manifest
			if got, want := b.stagedRows(m.Rows), []string{"1|B|200|#4", "3|multi\nline|300|#7"}; !slices.Equal(got, want) {
				t.Errorf("rows are %q, want %q", got, want)
			}
			if got, want := b.stagedRows(m.Deletes), []string{"2|#6"}; !slices.Equal(got, want) {
				t.Errorf("deletes are %q, want %q", got, want)
			}
			if want := (Counts{RowsRead: 4, Inserts: 2, Updates: 1, Deletes: 1, DuplicatesDropped: 1}); m.Counts != want {
				t.Errorf("counts are %+v, want %+v", m.Counts, want)
			}
			if m.Part != f.Part || m.FileID != f.ID || m.Input.SHA256 != whole.Object.ETag || m.Input.Bytes != whole.Object.Size {
				t.Errorf("the manifest is about %+v of %+v", m.Part, m.Input)
			}
		})
	}
}

func TestPartWithoutOp(t *testing.T) {
	table := reports()
	table.DMS.OpColumn, table.DMS.ChangeSeqColumn, table.DMS.TimestampColumn = nil, nil, nil
	b := newBench(t, table)
	m := b.mustRun(partOf(b.put(txnKey, "I,reports,rms,1,A,\nD,reports,rms,1,A,\n"), "rms", "reports")).Manifest
	if m.Counts.Deletes != 1 || len(m.Rows) != 0 {
		t.Errorf("the operation was not read: %+v", m.Counts)
	}
}

func TestPartRefusals(t *testing.T) {
	asIs := func(*registry.Table) {}
	other := "I,persons,rms,1\n"
	good := "I,reports,rms,x,1,A,1.00," + seqOf(1) + "\n"
	for _, tt := range []struct {
		name    string
		change  func(*registry.Table)
		content string
		code    string
		row     int64
		column  string
		text    string
	}{
		{"value", asIs, other + good + "I,reports,rms,x,one,A,1.00," + seqOf(2), CodeInteger, 3, "id", "whole number"},
		{"width", asIs, other + good + "I,reports,rms,x,2,A," + seqOf(2), CodeColumnCount, 3, "", "7 columns, the first row of its table has 8"},
		{"no layout", asIs, other + "I,reports,rms,1,A", CodeLayout, 2, "", "column count 3, table and schema apart, fits no layout"},
		{"how to mend it", asIs, "I,reports,rms,1,A", CodeLayout, 1, "", "{kind: txn, from: 20240115-070200000"},
		{"no sequence in the layout", func(t *registry.Table) {
			t.Layouts = []registry.Layout{{Kind: dms.KindTransaction, Columns: []string{"id", "status", "amount"}}}
		}, other + "I,reports,rms,1,A,1.00", CodeColumnMissing, 0, "seq", "rows of this table are ordered by it"},
		{"sequence", asIs, "I,reports,rms,x,1,A,1.00,12", CodeSequence, 1, "seq", "35 digits"},
		{"no rows", asIs, other, CodePart, 0, "", "no row of rms.reports"},
		{"another delimiter", func(t *registry.Table) { t.DMS.Delimiter = "|" }, good, CodePart, 0, "", "delimiter"},
		{"text", asIs, good + "I,persons,rms,\xff\n", string(dms.CSVNotUTF8), 2, "", "utf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := reports()
			tt.change(&table)
			b := newBench(t, table)
			f := b.refused(partOf(b.put(txnKey, tt.content), "rms", "reports"))
			if f.Code != tt.code || f.Row != tt.row || f.Column != tt.column || f.ObjectKey != txnKey {
				t.Errorf("code %s, row %d, column %q of %s; want %s, %d, %q", f.Code, f.Row, f.Column, f.ObjectKey, tt.code, tt.row, tt.column)
			}
			if !strings.Contains(strings.ToLower(f.Error()), tt.text) {
				t.Errorf("%q does not say %q", f, tt.text)
			}
		})
	}
}

// TestPartsOfJobs: a job whose identity is not its part's is nobody's file.
func TestPartsOfJobs(t *testing.T) {
	b := newBench(t, reports())
	f := partOf(b.put(txnKey, "I,reports,rms,x,1,A,1.00,"+seqOf(1)), "rms", "reports")
	f.Part.Table = "persons"
	if _, err := b.run(f); err == nil || isFailure(err) {
		t.Errorf("another part's identity gave %v", err)
	}
}

func TestManifestOfPartsRefused(t *testing.T) {
	b := newBench(t, txnTable(t))
	r := b.mustRun(b.put(txnKey, "I,reports,rms,1\n"))
	good := string(b.staging.objects[r.ManifestKey])
	for name, bad := range map[string]string{
		"more rows than read": strings.Replace(good, `"rows": 1`, `"rows": 2`, 1),
		"another id":          strings.Replace(good, string(r.Manifest.Parts[0].FileID), "00", 1),
		"another kind":        strings.Replace(good, `"transaction"`, `"change"`, 1),
		"a part of itself":    strings.Replace(good, `"input"`, `"part": {"file_id": "x", "schema": "s", "table": "t"}, "input"`, 1),
	} {
		if bad == good {
			t.Fatalf("%s: nothing was changed in %s", name, good)
		}
		b.staging.put("bad", []byte(bad))
		if _, err := ReadManifest(t.Context(), b.staging, "bad", ""); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
