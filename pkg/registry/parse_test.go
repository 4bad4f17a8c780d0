package registry

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

const whole = `
database: rms
source: {prefix: dms/, schema: rms, task: "arn:aws:dms:eu-central-1:000000000000:task:X"}
dms:                          # each may be overridden per table
  format: csv
  header: false
  delimiter: ","
  null: ""
  op_column: Op
  op_in_full_load: false
  timestamp_column: dms_commit_ts
  change_seq_column: dms_change_seq
  before_image_prefix: before_
  cdc_path: null
  date_partition: null
load: {quiet_period: 5m}
on_bad_row: fail
tables:
  - name: reports
    path: rms/reports/
    flag: G
    job: {lambda: "arn:aws:lambda:x", glue: "arn:aws:glue:x"}
    primary_key: [ID]
    columns: {id: bigint not null, status: string}
    layouts:
      - {kind: load, columns: [dms_commit_ts, id, status]}
      - {kind: cdc, from: 20240705-000000000, columns: [Op, dms_commit_ts, id, status, dms_change_seq, before_id]}
  - name: case notes+2024
    primary_key: []
    dms: {header: true, delimiter: "\t", "null": "NULL", op_column: null, cdc_path: txn, date_partition: {format: YYYYMM, separator: dash}}
    load: {quiet_period: 0}
    on_bad_row: quarantine
    reports: {show_values: true}
    columns:
      - {name: zeta, type: "numeric(10, 2)"}
      - {name: alpha, type: text, nullable: false}
      - {name: mid, type: timestamp with time zone not null}
`

func str(s string) *string { return &s }

func TestParse(t *testing.T) {
	tables, err := Parse([]byte(whole), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{
		Format: FormatCSV, Delimiter: ",", OpColumn: str("Op"), TimestampColumn: str("dms_commit_ts"),
		ChangeSeqColumn: str("dms_change_seq"), BeforeImagePrefix: str("before_"),
	}
	notes := settings
	notes.Header, notes.Delimiter, notes.Null, notes.OpColumn, notes.CDCPath = true, "\t", "NULL", nil, str("txn/")
	notes.DatePartition = &DatePartition{Format: "YYYYMM", Separator: "dash"}
	want := []Table{{
		ID: dms.TableID{DB: "rms", Table: "reports"}, Prefix: "dms/", Path: "rms/reports/", Schema: "rms", Task: "arn:aws:dms:eu-central-1:000000000000:task:X",
		Flag: FlagGlue, Job: Job{Lambda: "arn:aws:lambda:x", Glue: "arn:aws:glue:x"}, DMS: settings, Load: LoadRule{QuietPeriod: 5 * time.Minute}, OnBadRow: "fail",
		PrimaryKey: []string{"id"},
		Columns:    []Column{{Name: "id", Type: Type{Kind: Long}, Required: true}, {Name: "status", Type: Type{Kind: String}}},
		Layouts: []Layout{
			{Kind: dms.KindLoad, Columns: []string{"dms_commit_ts", "id", "status"}},
			{Kind: dms.KindChange, From: "20240705-000000000", Columns: []string{"Op", "dms_commit_ts", "id", "status", "dms_change_seq", "before_id"}},
		},
	}, {
		ID: dms.TableID{DB: "rms", Table: "case notes+2024"}, Prefix: "dms/", Path: "rms/case notes+2024/", Schema: "rms", Task: "arn:aws:dms:eu-central-1:000000000000:task:X",
		Flag: FlagLambda, DMS: notes, OnBadRow: "quarantine", Reports: Reports{ShowValues: true}, PrimaryKey: []string{},
		Columns: []Column{
			{Name: "zeta", Type: Type{Kind: Decimal, Precision: 10, Scale: 2}},
			{Name: "alpha", Type: Type{Kind: String}, Required: true},
			{Name: "mid", Type: Type{Kind: TimestampTZ}, Required: true},
		},
	}}
	if !reflect.DeepEqual(tables, want) {
		t.Errorf("got  %+v\nwant %+v", tables, want)
	}
}

func TestParseDefaults(t *testing.T) {
	tables, err := Parse([]byte("database: cad\nsource: {prefix: raw}\ntables:\n- {name: units, primary_key: [id], columns: {id: int, 2024: text, true: text, null: text}}\n"), "t")
	if err != nil {
		t.Fatal(err)
	}
	got := tables[0]
	if got.Prefix != "raw/" || got.Path != "cad/units/" || got.Flag != FlagLambda || got.OnBadRow != "fail" || got.Load.QuietPeriod != DefaultQuietPeriod || !reflect.DeepEqual(got.DMS, DefaultSettings()) {
		t.Errorf("defaults %+v", got)
	}
	var names []string
	for _, c := range got.Columns {
		names = append(names, c.Name)
	}
	if strings.Join(names, " ") != "id 2024 true null" {
		t.Errorf("columns %q", names)
	}
}

func TestParseAliasesAndDocuments(t *testing.T) {
	text := `
database: a
dms: &dms {header: true, timestamp_column: ts}
tables:
  - &common {name: t1, primary_key: [id], columns: &cols {id: bigint, x: text}}
  - <<: *common
    name: t2
    flag: G
---
database: b
dms: *dms
tables:
  - {name: t1, primary_key: [id], columns: *cols}
---
`
	tables, err := Parse([]byte(text), "t")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, table := range tables {
		got = append(got, table.ID.String()+" "+string(table.Flag))
		if len(table.Columns) != 2 || !table.DMS.Header {
			t.Errorf("%s: %+v", table.ID, table)
		}
	}
	if strings.Join(got, ", ") != "a.t1 L, a.t2 G, b.t1 L" {
		t.Errorf("tables %q", got)
	}
}

// faultyFiles hold, each, a file and how the lines of its error begin.
var faultyFiles = []struct {
	name, text string
	want       []string
}{
	{"empty", "# nothing\n", []string{"t:1: the file is empty"}},
	{"no YAML", "database: [rms\n", []string{"t:1: no valid YAML"}},
	{"not UTF-8", "database: \xff\n", []string{"t:1: the file is not UTF-8"}},
	{"a scalar", "hello\n", []string{"t:1: expected keys and values", "t:1: database: the name of the database is missing", "t:1: tables: tables are missing"}},
	{"unknown keys, everywhere", `databse: rms
source: {prefx: dms/}
tables:
  - name: reports
    primary_key: [id]
    colums: {id: bigint}
    dms: {heade: true}
    layouts: [{knd: load}]
`, []string{
		"t:1: databse: the key is not known: expected database, dms,", "t:1: database: the name of the database is missing", "t:2: source.prefx: the key is not known: expected prefix, schema, task",
		"t:4: columns: columns are missing", "t:6: tables[0].colums: the key is not known", "t:7: tables[0].dms.heade: the key is not known",
		"t:8: tables[0].layouts[0].knd: the key is not known: expected columns, from, kind",
		"t:8: layouts[0].kind: a layout is for load, cdc or txn files", "t:8: layouts[0].columns: a layout names at least one column",
	}},
	{"values of a wrong kind", `database: rms
dms:
  header: yes
  null: NULL
  delimiter: [","]
load: {quiet_period: soon}
tables:
  - name: reports
    primary_key: id
    columns: {id: bigint, id: int, a: , b: strong, c: numeric(10,2)}
`, []string{
		"t:3: dms.header: expected true or false", "t:4: dms.null: the value is missing", "t:5: dms.delimiter: expected a single value", `t:6: load.quiet_period: "soon" is no duration`,
		"t:9: tables[0].primary_key: expected a list", "t:10: tables[0].columns.id: the key is there twice", "t:10: tables[0].columns[1]: the value is missing",
		`t:10: tables[0].columns[2]: type "strong" is not known`, `t:10: tables[0].columns[3]: type "numeric(10" is not known`, `t:10: tables[0].columns[4]: the value is missing`,
	}},
	{"rules, with the lines of what breaks them", `database: rms
dms:
  delimiter: ";;"
  op_column: null
  op_in_full_load: true
tables:
  - name: reports
    flag: X
    on_bad_row: ignore
    primary_key: [id, name]
    columns:
      ID: float
      id: bigint
      _Blotter_File: text
  - name: Reports
    dms: {delimiter: ","}
    primary_key: []
    columns: {id: bigint}
  - name: other
    path: /x//y
    primary_key: []
    columns: {id: bigint}
`, []string{
		`t:3: dms.delimiter: ";;" is no delimiter`, "t:5: dms.op_in_full_load: full loads cannot have", `t:8: rms.reports: flag: "X" is no flag`, "t:9: rms.reports: on_bad_row:",
		"t:10: rms.reports: primary_key[0]: ID is a float", "t:10: rms.reports: primary_key[1]: name is none of the columns", "t:13: rms.reports: columns[1]: id is there twice (ID)",
		"t:14: rms.reports: columns[2]: _Blotter_File: names that begin with _blotter_", "t:15: rms.Reports: name: another table has this name, rms.reports", `t:20: rms.other: path: "/x//y/" is no folder`,
	}},
	{"a table without a name or key", "database: rms\ntables:\n- columns: {id: bigint}\n", []string{"t:3: tables[0].primary_key: the primary key is missing", "t:3: name: the name is missing"}},
	{"a column without a type", "database: rms\ntables:\n- name: t\n  primary_key: []\n  columns:\n  - {name: id}\n  - {type: int}\n", []string{"t:6: tables[0].columns[0]: a column has a name and a type", "t:7: tables[0].columns[1]: a column has a name and a type"}},
	{"layouts", `database: rms
tables:
  - name: reports
    primary_key: [id]
    columns: {id: bigint, status: text}
    layouts:
      - {kind: load, columns: [id, stauts]}
      - {kind: load, from: 20240705, columns: [id, status, x]}
      - {kind: cdc, from: 2024-07-05, columns: [Op, id, status]}
      - {kind: snapshot, columns: []}
      - {kind: cdc, columns: [Op, id, ID]}
`, []string{
		"t:7: rms.reports: layouts[0].columns: stauts is not registered, and status is missing", "t:8: rms.reports: layouts[1].from: load files carry no time", `t:9: rms.reports: layouts[2].from: "2024-07-05" is no time`,
		`t:10: tables[0].layouts[3].kind: "snapshot" is not known`, "t:10: rms.reports: layouts[3].columns: a layout names at least one column", "t:11: rms.reports: layouts[4].columns[2]: ID is there twice",
	}},
}

func TestParseReportsAllFaults(t *testing.T) {
	for _, tt := range faultyFiles {
		t.Run(tt.name, func(t *testing.T) {
			tables, err := Parse([]byte(tt.text), "t")
			if err == nil {
				t.Fatalf("read as %+v", tables)
			}
			got := strings.Split(err.Error(), "\n")
			for i := range max(len(got), len(tt.want)) {
				if i >= len(got) || i >= len(tt.want) || !strings.HasPrefix(got[i], tt.want[i]) {
					t.Fatalf("got\n%s\nwant\n%s", err, strings.Join(tt.want, "\n"))
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("a: &x [*x]\ntables: *x\n")
	f.Add("database: a\ntables: &t\n- <<: *t\n  ? [a]\n  : b\n")
	f.Add("database: !!str a\ndms: {date_partition: {format: *none}}\ntables: [{name: |\n  x\n}]\n")
	f.Add("a: &a\n  <<: *a\n")
	f.Add("0: 0\n0: {000,")
	f.Fuzz(func(t *testing.T, text string) {
		tables, err := Parse([]byte(text), "t")
		if err != nil {
			if faults := (Faults)(nil); !errors.As(err, &faults) || err.Error() == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for _, table := range tables {
			if err := table.Validate(); err != nil {
				t.Fatalf("%q was read, but %v", text, err)
			}
		}
	})
}
