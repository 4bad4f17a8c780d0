package registry

import (
	"fmt"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

func place(db, table, prefix, path string) Table {
	return Table{ID: dms.TableID{DB: db, Table: table}, Prefix: prefix, Path: path}
}

func TestMatcher(t *testing.T) {
	cdc := "txn/"
	reports := place("rms", "reports", "dms/", "rms/reports/")
	reports.DMS.CDCPath = &cdc
	txn, ok := reports.OfTransactions()
	if !ok {
		t.Fatal("a cdc_path makes no pseudo-table")
	}
	m := NewMatcher([]Table{
		reports, txn,
		place("rms", "reports_old", "dms/", "rms/reports/old/"),
		place("rms", "case notes+2024", "dms/", "rms/case notes+2024/"),
		place("cad", "units", "dms/cad/", "public/units/"),
		place("ref", "codes", "codes/", ""),
	})
	tests := []struct {
		key, id, rel string
		ok           bool
	}{
		{"dms/rms/reports/LOAD00000001.csv", "rms.reports", "LOAD00000001.csv", true},
		{"dms/rms/reports/2024/01/x.csv", "rms.reports", "2024/01/x.csv", true},
		{"dms/rms/reports/old/x.csv", "rms.reports_old", "x.csv", true},
		{"dms/rms/reports/older/x.csv", "rms.reports", "older/x.csv", true},
		{"dms/rms/reports/", "rms.reports", "", true},
		{"dms/rms/case notes+2024/50%25 & more/x.csv", "rms.case notes+2024", "50%25 & more/x.csv", true},
		{"dms/cad/public/units/x.csv", "cad.units", "x.csv", true},
		{"codes/x.csv", "ref.codes", "x.csv", true},
		{"dms/txn/CDC_TXN-1.csv", "rms.@txn", "CDC_TXN-1.csv", true},
		{"dms/rms/persons/2024/01/x.csv", "rms.persons", "rms/persons/2024/01/x.csv", false},
		{"dms/cad/public/persons/x.csv", "public.persons", "public/persons/x.csv", false},
		{"dms/rms/reports", ".", "rms/reports", false},
		{"dms/x.csv", ".", "x.csv", false},
		{"dms//x/y.csv", ".", "/x/y.csv", false},
		{"dms", ".", "dms", false},
		{"other/rms/reports/x.csv", ".", "other/rms/reports/x.csv", false},
		{"", ".", "", false},
	}
	for _, tt := range tests {
		id, rel, ok := m.Match(tt.key)
		if id.String() != tt.id || rel != tt.rel || ok != tt.ok {
			t.Errorf("%s: %s, %q, %v; want %s, %q, %v", tt.key, id, rel, ok, tt.id, tt.rel, tt.ok)
		}
	}
}

func TestMatcherWithoutPrefix(t *testing.T) {
	m := NewMatcher([]Table{place("rms", "reports", "", "rms/reports/")})
	if id, rel, ok := m.Match("rms/persons/x.csv"); id.String() != "rms.persons" || rel != "rms/persons/x.csv" || ok {
		t.Errorf("%s, %q, %v", id, rel, ok)
	}
	if id, _, ok := m.Match("rms/reports/x.csv"); id.String() != "rms.reports" || !ok {
		t.Errorf("%s, %v", id, ok)
	}
	everything := NewMatcher([]Table{place("rms", "reports", "", "")})
	if id, rel, ok := everything.Match("a/b.csv"); id.String() != "rms.reports" || rel != "a/b.csv" || !ok {
		t.Errorf("%s, %q, %v", id, rel, ok)
	}
	if id, rel, ok := NewMatcher(nil).Match("a/b/c.csv"); !id.IsZero() || rel != "a/b/c.csv" || ok {
		t.Errorf("%s, %q, %v", id, rel, ok)
	}
}

// TestTransactionFilesWaitForTheirTable: before the pseudo-table is registered,
// nobody could take their objects.
func TestTransactionFilesWaitForTheirTable(t *testing.T) {
	cdc := "txn/"
	reports := place("rms", "reports", "dms/", "rms/reports/")
	reports.DMS.CDCPath = &cdc
	if id, _, ok := NewMatcher([]Table{reports}).Match("dms/txn/CDC_TXN-1.csv"); ok {
		t.Errorf("it belongs to %s", id)
	}
}

func TestMatchPart(t *testing.T) {
	named := func(schema string, p Table) Table { p.Schema = schema; return p }
	txn := place("rms", dms.TransactionTable, "dms/", "txn/")
	m := NewMatcher([]Table{
		txn,
		named("rms", place("rms", "reports", "dms/", "rms/reports/")),
		named("rms", place("rms", "persons", "dms/", "DBO/TBL_PERSONS/")), // renamed here
		named("dbo", place("rms", "units", "dms/", "units/")),             // a folder that tells nothing
		named("rms", place("rms", "Notes", "dms/", "rms/Notes/")),
		named("rms", place("rms", "notes2", "dms/", "rms/notes/")),
		named("rms", place("cad", "calls", "dms/", "rms/calls/")), // another database
	})
	for _, tt := range []struct {
		schema, table, want string
	}{
		{"rms", "reports", "rms.reports"},
		{"RMS", "REPORTS", "rms.reports"},
		{"DBO", "TBL_PERSONS", "rms.persons"},
		{"dbo", "tbl_persons", "rms.persons"},
		{"rms", "persons", "rms.persons"},
		{"dbo", "units", "rms.units"},
		{"rms", "units", ""},
		{"hr", "reports", ""},
		{"rms", "Notes", "rms.Notes"},
		{"rms", "notes", "rms.notes2"}, // the source tells them apart by case
		{"rms", "NOTES", ""},           // this spelling does not
		{"rms", "calls", ""},
		{"rms", "@txn", ""},
		{"", "reports", ""},
	} {
		id, ok := m.MatchPart("rms", dms.Part{FileID: "f", Schema: tt.schema, Table: tt.table})
		if !ok && tt.want != "" || ok && id.String() != tt.want {
			t.Errorf("%s.%s: %s, %v; want %q", tt.schema, tt.table, id, ok, tt.want)
		}
	}
	if id, ok := m.MatchPart("hr", dms.Part{Schema: "rms", Table: "reports"}); ok {
		t.Errorf("a database without tables has %s", id)
	}
}

func BenchmarkMatch(b *testing.B) {
	var tables []Table
	for i := range 5000 {
		tables = append(tables, place("rms", fmt.Sprint("t", i), "dms/", fmt.Sprintf("rms/t%d/", i)))
	}
	m := NewMatcher(tables)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := m.Match("dms/rms/t4711/2024/01/15/20240115-070500000.csv"); !ok {
			b.Fatal("no match")
		}
	}
}
