package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

// reports is a registration that keeps all rules.
func reports() Table {
	return Table{
		ID: dms.TableID{DB: "rms", Table: "reports"}, Prefix: "dms/", Path: "rms/reports/", Flag: FlagLambda, OnBadRow: "fail",
		DMS:        Settings{Format: FormatCSV, Delimiter: ",", OpColumn: str("Op"), TimestampColumn: str("ts"), ChangeSeqColumn: str("seq"), BeforeImagePrefix: str("before_")},
		PrimaryKey: []string{"id"},
		Columns:    []Column{{ID: 1, Name: "id", Type: Type{Kind: Long}, Required: true}, {ID: 2, Name: "status", Type: Type{Kind: String}}},
		Provenance: Provenance{File: 3, Row: 4, Position: 5, Next: 6},
	}
}

func TestDefaultLayouts(t *testing.T) {
	withOp := reports()
	withOp.DMS.OpInFullLoad = true
	bare := reports()
	bare.DMS.OpColumn, bare.DMS.TimestampColumn, bare.DMS.ChangeSeqColumn = nil, nil, nil
	for _, tt := range []struct {
		table Table
		kind  dms.FileKind
		want  string
	}{
		{reports(), dms.KindLoad, "ts id status seq"},
		{reports(), dms.KindChange, "Op ts id status seq"},
		{reports(), dms.KindTransaction, "Op ts id status seq"},
		{withOp, dms.KindLoad, "Op ts id status seq"},
		{bare, dms.KindLoad, "id status"},
		{bare, dms.KindChange, "id status"},
		{bare, dms.KindTransaction, "Op id status"}, // a transaction file always tells the operation
	} {
		want := strings.Fields(tt.want)
		got, err := tt.table.LayoutFor(tt.kind, "20240115-070500000", len(want))
		if err != nil || !slices.Equal(got.Columns, want) {
			t.Errorf("%s: %v, %v; want %v", tt.kind, got.Columns, err, want)
		}
	}
}

func TestLayoutFor(t *testing.T) {
	table := reports()
	table.Layouts = []Layout{
		{Kind: dms.KindChange, Columns: []string{"Op", "ts", "id", "status"}},
		{Kind: dms.KindChange, From: "20240601-000000000", Columns: []string{"Op", "ts", "status", "id"}},
		{Kind: dms.KindChange, From: "20240705-0000000000", Columns: []string{"Op", "ts", "id", "status", "seq", "before_id"}},
	}
	if err := table.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		time string
		want string
	}{
		{"20240531-235959999", "Op ts id status"},
		{"20240601-000000000", "Op ts status id"},
		{"20240601-0000000000", "Op ts status id"},
		{"20240901-000000000", "Op ts status id"},
		{"20240705-000000000", "Op ts id status seq before_id"},
	} {
		want := strings.Fields(tt.want)
		got, err := table.LayoutFor(dms.KindChange, tt.time, len(want))
		if err != nil || !slices.Equal(got.Columns, want) {
			t.Errorf("%s: %v, %v; want %v", tt.time, got.Columns, err, want)
		}
	}
	// No layout of a load is registered: the default holds.
	if got, err := table.LayoutFor(dms.KindLoad, "", 4); err != nil || got.Columns[0] != "ts" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestLayoutsOfTransactionFiles(t *testing.T) {
	table := reports()
	table.Layouts = []Layout{{Kind: dms.KindChange, Columns: []string{"ts", "Op", "id", "status"}}}
	check := func(want string) {
		t.Helper()
		columns := strings.Fields(want)
		got, err := table.LayoutFor(dms.KindTransaction, "20240705-000000000", len(columns))
		if err != nil || !slices.Equal(got.Columns, columns) {
			t.Errorf("%v, %v; want %v", got.Columns, err, columns)
		}
	}
	check("Op ts id status") // those of change files, the operation first
	table.Layouts = append(table.Layouts,
		Layout{Kind: dms.KindTransaction, Columns: []string{"id", "status"}},
		Layout{Kind: dms.KindTransaction, From: "20240601-000000000", Columns: []string{"Op", "status", "id"}},
		Layout{Kind: dms.KindTransaction, Columns: []string{"Op", "id", "status", "seq"}})
	if err := table.Validate(); err != nil {
		t.Fatal(err)
	}
	check("Op status id")
	check("Op id status seq")
	_, err := table.LayoutFor(dms.KindTransaction, "20240705-000000000", 6)
	if err == nil || !strings.Contains(err.Error(), "3 (Op, id, status)") || !strings.Contains(err.Error(), "{kind: txn, from: 20240705-000000000, columns") {
		t.Errorf("error %v", err)
	}
	inTxn := table.InTransactions()
	if inTxn.DMS.Header || inTxn.DMS.Format != FormatCSV || *inTxn.DMS.OpColumn != "Op" {
		t.Errorf("settings %+v", inTxn.DMS)
	}
	table.DMS.OpColumn, table.Columns[1].Name = nil, "op"
	if name := *table.InTransactions().DMS.OpColumn; name != "_blotter_op" {
		t.Errorf("the operation is called %s beside a column op", name)
	}
}

func TestLayoutErrorSaysWhatToDo(t *testing.T) {
	table := reports()
	table.Layouts = []Layout{
		{Kind: dms.KindChange, Columns: []string{"Op", "ts", "id", "status"}},
		{Kind: dms.KindChange, From: "20240705-000000000", Columns: []string{"Op", "ts", "id", "status", "seq", "before_id"}},
	}
	_, err := table.LayoutFor(dms.KindChange, "20240601-000000000", 6)
	var layout *LayoutError
	if !errors.As(err, &layout) || layout.Width != 6 || len(layout.Known) != 2 {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{
		"column count 6", "change files of rms.reports", "4 (Op, ts, id, status)", "6 (Op, ts, id, status, seq, before_id) from 20240705-000000000 on",
		"add a layout", "from: 20240601-000000000", "resume",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestLayoutsThatCouldMatchOneFile(t *testing.T) {
	four := []string{"Op", "ts", "id", "status"}
	for _, tt := range []struct {
		name string
		a, b Layout
		ok   bool
	}{
		{"same width", Layout{Kind: dms.KindChange, Columns: four}, Layout{Kind: dms.KindChange, Columns: []string{"Op", "id", "status", "seq"}}, false},
		{"same width and time", Layout{Kind: dms.KindChange, From: "20240705-000000000", Columns: four}, Layout{Kind: dms.KindChange, From: "20240705-0000000000", Columns: four}, false},
		{"loads of one width", Layout{Kind: dms.KindLoad, Columns: four}, Layout{Kind: dms.KindLoad, Columns: four}, false},
		{"other kind", Layout{Kind: dms.KindLoad, Columns: four}, Layout{Kind: dms.KindChange, Columns: four}, true},
		{"other width", Layout{Kind: dms.KindChange, Columns: four[:3]}, Layout{Kind: dms.KindChange, Columns: four}, true},
		{"operation named or not", Layout{Kind: dms.KindTransaction, Columns: []string{"Op", "id", "status"}}, Layout{Kind: dms.KindTransaction, Columns: []string{"status", "id"}}, false},
		{"transaction files", Layout{Kind: dms.KindTransaction, Columns: four}, Layout{Kind: dms.KindChange, Columns: four}, true},
		{"one after the other", Layout{Kind: dms.KindChange, Columns: four}, Layout{Kind: dms.KindChange, From: "20240705-000000000", Columns: four}, true},
	} {
		table := reports()
		table.Layouts = []Layout{tt.a, tt.b}
		err := table.Validate()
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "could match one") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestLayoutsOfFilesWithNames(t *testing.T) {
	table := reports()
	table.Layouts = []Layout{{Kind: dms.KindChange, Columns: []string{"Op", "ts", "id", "beat_code"}}}
	if err := table.Validate(); err == nil {
		t.Error("a column more and one less at once look like a misspelt name")
	}
	table.DMS.Header = true
	if err := table.Validate(); err != nil {
		t.Error(err)
	}
	table.DMS.Header = false
	table.Layouts[0].Columns = []string{"Op", "ts", "id", "status", "beat_code", "before_id"}
	if err := table.Validate(); err != nil {
		t.Error(err)
	}
}
