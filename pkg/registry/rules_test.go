package registry

import (
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

func TestValidate(t *testing.T) {
	if err := reports().Validate(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 256)
	tests := []struct {
		name string
		with func(*Table)
		want string
	}{
		{"dot in the database", func(t *Table) { t.ID.DB = "a.b" }, "database: a database name holds no dot"},
		{"slash in the name", func(t *Table) { t.ID.Table = "a/b" }, "name: the name \"a/b\" cannot be the name of a folder"},
		{"dots for a name", func(t *Table) { t.ID.Table = ".." }, "cannot be the name of a folder"},
		{"control character", func(t *Table) { t.ID.Table = "a\nb" }, "cannot be printed"},
		{"long name", func(t *Table) { t.ID.Table = long }, "longer than 255 bytes"},
		{"blank at the end", func(t *Table) { t.Columns[1].Name = "status " }, "begins or ends with a blank"},
		{"pseudo-table", func(t *Table) { t.ID.Table = dms.TransactionTable }, "keeps for itself"},
		{"pseudo-database", func(t *Table) { t.ID.DB = "_" }, "keeps for itself"},
		{"path without slash", func(t *Table) { t.Path = "rms/reports" }, "path: \"rms/reports\" is no folder"},
		{"path upwards", func(t *Table) { t.Path = "../x/" }, "is no folder"},
		{"flag", func(t *Table) { t.Flag = "" }, "flag: "},
		{"route", func(t *Table) { t.Route = "best" }, "route: \"best\" is not known"},
		{"route without a job", func(t *Table) { t.Route = RouteAuto }, "route: auto chooses between Lambda and Glue, and the table names no job of Glue"},
		{"route and flag", func(t *Table) { t.Route, t.Flag, t.Job.Glue = RouteAuto, FlagGlue, "j" }, "route: auto and flag G say two things"},
		{"on_bad_row", func(t *Table) { t.OnBadRow = "skip" }, "on_bad_row: "},
		{"quiet period", func(t *Table) { t.Load.QuietPeriod = -1 }, "load.quiet_period: "},
		{"format", func(t *Table) { t.DMS.Format = "avro" }, "dms.format: "},
		{"delimiter", func(t *Table) { t.DMS.Delimiter = "\"" }, "dms.delimiter: "},
		{"wide delimiter", func(t *Table) { t.DMS.Delimiter = "§" }, "dms.delimiter: "},
		{"null token", func(t *Table) { t.DMS.Null = "a,b" }, "dms.null: "},
		{"op in full load", func(t *Table) { t.DMS.OpColumn, t.DMS.OpInFullLoad = nil, true }, "dms.op_in_full_load: "},
		{"one column for two things", func(t *Table) { t.DMS.TimestampColumn = str("OP") }, "dms.timestamp_column: OP is op_column already"},
		{"empty column name", func(t *Table) { t.DMS.TimestampColumn = str("") }, "dms.timestamp_column: the name is missing"},
		{"empty prefix", func(t *Table) { t.DMS.BeforeImagePrefix = str("") }, "dms.before_image_prefix: "},
		{"empty cdc path", func(t *Table) { t.DMS.CDCPath = str("") }, "dms.cdc_path: "},
		{"cdc path of the table", func(t *Table) { t.DMS.CDCPath = &t.Path }, "dms.cdc_path: rms/reports/ is the path of the table"},
		{"date partition", func(t *Table) { t.DMS.DatePartition = &DatePartition{Format: "YYYY", Separator: "slash"} }, "dms.date_partition.format: "},
		{"separator", func(t *Table) { t.DMS.DatePartition = &DatePartition{Format: "YYYYMM", Separator: "/"} }, "dms.date_partition.separator: "},
		{"no columns", func(t *Table) { t.Columns, t.PrimaryKey = nil, nil }, "columns: columns are missing"},
		{"reserved name", func(t *Table) { t.Columns[1].Name = "_BLOTTER_x" }, "kept for the columns that Blotter adds"},
		{"twice", func(t *Table) { t.Columns[1].Name = "ID" }, "columns[1]: ID is there twice (id)"},
		{"bookkeeping column", func(t *Table) { t.Columns[1].Name = "op" }, "op is the op_column too"},
		{"before-image", func(t *Table) { t.Columns[1].Name = "Before_ID" }, "Before_ID could be the before-image of id"},
		{"no type", func(t *Table) { t.Columns[1].Type = Type{} }, "status has no type"},
		{"decimal", func(t *Table) { t.Columns[1].Type = Type{Kind: Decimal, Precision: 39} }, "no decimal that Iceberg knows"},
		{"key twice", func(t *Table) { t.PrimaryKey = []string{"id", "ID"} }, "primary_key[1]: ID is there twice"},
		{"key of no column", func(t *Table) { t.PrimaryKey = []string{"x"} }, "primary_key[0]: x is none of the columns"},
		{"key of double", func(t *Table) { t.Columns[0].Type.Kind = Double }, "primary_key[0]: id is a double"},
		{"layout of nothing", func(t *Table) { t.Layouts = []Layout{{}} }, "layouts[0].kind: "},
		{"reserved name in a layout", func(t *Table) {
			t.Layouts = []Layout{{Kind: dms.KindLoad, Columns: []string{"id", "status", "_blotter_row"}}}
		}, "layouts[0].columns[2]: "},
	}
	for _, tt := range tests {
		table := reports()
		tt.with(&table)
		err := table.Validate()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, with := range map[string]func(*Table){
		"no key":                     func(t *Table) { t.PrimaryKey = nil },
		"names from everywhere":      func(t *Table) { t.ID.Table, t.Columns[1].Name = "case notes+2024", "Straße №1" },
		"a column like a prefix":     func(t *Table) { t.Columns[1].Name = "before_noon" },
		"a column named like a word": func(t *Table) { t.Columns[1].Name = "select" },
		"the root of the bucket":     func(t *Table) { t.Prefix, t.Path = "", "" },
	} {
		table := reports()
		with(&table)
		if err := table.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckTogether(t *testing.T) {
	other := reports()
	other.ID.Table, other.Path = "persons", "rms/persons/"
	other.DMS.CDCPath = str("txn/")
	third := other
	third.ID.Table, third.Path = "units", "rms/units/"
	if err := CheckTogether([]Table{reports(), other, third}); err != nil {
		t.Error(err)
	}
	sameName, samePlace, onTxn, otherTxn := reports(), reports(), reports(), reports()
	sameName.ID.Table, sameName.Path = "Reports", "x/"
	samePlace.ID.Table = "x"
	onTxn.ID.Table, onTxn.Path = "x", "txn/"
	otherTxn.ID, otherTxn.Path, otherTxn.DMS.CDCPath = dms.TableID{DB: "cad", Table: "x"}, "cad/x/", str("txn/")
	elsewhere, divided := other, other
	elsewhere.ID.Table, elsewhere.Path, elsewhere.DMS.CDCPath = "x", "rms/x/", str("txn2/")
	divided.ID.Table, divided.Path, divided.DMS.Delimiter = "x", "rms/x/", "|"
	for name, bad := range map[string]Table{
		"another table has this name": sameName, "belongs to rms.reports": samePlace, "belongs to rms.x": onTxn, "belongs to rms.@txn": otherTxn,
		"one folder of transaction files": elsewhere, "with one delimiter": divided,
	} {
		err := CheckTogether([]Table{reports(), other, bad})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
