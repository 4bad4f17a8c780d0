package cases

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

const header = `"format_version":1,"name":"own","description":"d","strength":"policy","tags":[],"why":[{"source":"us"}],
 "table":{"db":"rms","table":"reports","primary_key":["id"],"columns":[{"name":"id","type":"bigint"},{"name":"fee","type":"decimal(10,2)","nullable":false}]},
 "dms":{"format":"csv","header":false,"delimiter":",","op_column":"Op","op_in_full_load":false,"timestamp_column":null,"change_seq_column":null,"before_image_prefix":null,"csv_null_value":"","compression":"none"},
 "expect_rows":"expected.csv","expect_columns":["id","fee"]`

// step gives the JSON of a step that puts or delivers again.
func step(n int, action, key, etag, more string) string {
	kind := CDC
	if strings.HasPrefix(filepath.Base(key), "LOAD") {
		kind = FullLoad
	}
	return fmt.Sprintf(`{"n":%d,"action":%q,"key":%q,"file":"files/a.csv","kind":%q,"columns":["Op","id","fee"],
	 "last_modified":"2024-01-15T08:01:00Z","etag":%q,"size":8,"expect":"applied"%s}`, n, action, key, kind, etag, more)
}

func write(t *testing.T, rest string, steps ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "{" + header + `,"steps":[` + strings.Join(steps, ",") + "]" + rest + "}"
	for name, content := range map[string]string{FileName: text, "expected.csv": "id,fee\n", "files/a.csv": "I,1,1.00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, rest string, steps ...string) *Case {
	t.Helper()
	c, err := Load(write(t, rest, steps...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	any1   = `,"delivery_order":"any"`
	listed = `,"delivery_order":"as_listed"`
)

func TestLoadRefuses(t *testing.T) {
	good := step(1, Put, "dms/rms/reports/20240115-080000123.csv", "e1", "")
	tests := []struct{ name, rest, says string }{
		{"a value of another kind", listed + `,"tags":1`, "tags"},
		{"an unknown order", `,"delivery_order":"backwards"`, "backwards"},
		{"rows that are not there", listed + `,"alternatives":[{"id":"x","expect_rows":"none.csv"}]`, "none.csv"},
		{"an alternative for no step", listed + `,"alternatives":[{"id":"x","steps_expect":{"4":"held"}}]`, "step 4"},
	}
	for _, tt := range tests {
		if _, err := Load(write(t, tt.rest, good)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	steps := []struct{ step, says string }{
		{step(2, Put, "k", "e", ""), "place 1"},
		{step(1, "push", "k", "e", ""), "push"},
		{step(1, Redeliver, "k", "e", ""), "no step puts"},
		{strings.Replace(good, `"size":8`, `"size":9`, 1), "8 bytes"},
		{strings.Replace(good, "files/a.csv", "files/b.csv", 1), "b.csv"},
		{strings.Replace(good, `"applied"`, `"fine"`, 1), "fine"},
	}
	for _, tt := range steps {
		if _, err := Load(write(t, listed, tt.step)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v", tt.says, err)
		}
	}
}

// A key that means nothing is told of, and the rest holds.
func TestUnknownKey(t *testing.T) {
	good := step(1, Put, "dms/rms/reports/20240115-080000123.csv", "e1", "")
	if c := load(t, listed+`,"surprise":1`, good); !strings.Contains(c.Unknown, `"surprise"`) || len(c.Steps) != 1 || c.Dir == "" {
		t.Errorf("got %+v", c)
	}
	if c := load(t, listed, good); c.Unknown != "" {
		t.Errorf("%q is unknown", c.Unknown)
	}
}

// A folder marker has no bytes, and so no file.
func TestStepWithoutFile(t *testing.T) {
	marker := strings.NewReplacer(`"files/a.csv"`, `""`, `"size":8`, `"size":0`).Replace(step(1, Put, "dms/rms/reports/", "e1", ""))
	if c := load(t, listed, marker); c.Path(c.Steps[0].File) != "" {
		t.Errorf("the marker has the content %q", c.Path(c.Steps[0].File))
	}
}

func TestFind(t *testing.T) {
	dir := write(t, listed)
	found, err := Find(filepath.Dir(dir), dir)
	if err != nil || !slices.Equal(found, []string{dir}) {
		t.Errorf("got %v, %v", found, err)
	}
}

func TestOtherTables(t *testing.T) {
	for _, text := range []string{
		`{"db":"rms","table":"persons","primary_key":["id"],"columns":[],"expect_rows":"p.csv","expect_columns":["id"]}`,
		`{"table":{"db":"rms","table":"persons","primary_key":["id"],"columns":[]},"expect_rows":"p.csv"}`,
	} {
		var o OtherTable
		if err := json.Unmarshal([]byte(text), &o); err != nil || o.Name != "persons" || o.ExpectRows != "p.csv" {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
	var o OtherTable
	if err := json.Unmarshal([]byte(`{"db":"rms","tables":"persons"}`), &o); err == nil {
		t.Error("an unknown key is taken")
	}
}

func TestRegistrations(t *testing.T) {
	second := strings.Replace(step(3, Put, "dms/rms/reports/20240117-080000123.csv", "e3", ""), `"Op","id","fee"`, `"Op","fee","id"`, 1)
	c := load(t, listed,
		step(1, Put, "dms/rms/reports/LOAD00000001.csv", "e1", ""),
		step(2, Put, "dms/rms/reports/20240115-080000123.csv", "e2", ""),
		second,
		step(4, Put, "dms/rms/reports/20240116-080000123.csv", "e4", ""),
		step(5, Put, "dms/rms/reports/20240118-0800001234.csv", "e5", ""))
	rs, err := c.Registrations()
	if err != nil || len(rs) != 1 {
		t.Fatalf("%v, %v", rs, err)
	}
	r := rs[0]
	if r.Prefix != "dms/" || r.Path != "rms/reports/" || r.ID.String() != "rms.reports" || r.Load.QuietPeriod != 0 {
		t.Errorf("got %+v", r)
	}
	if !r.Columns[1].Required || r.Columns[0].Required || r.Columns[1].Type != (registry.Type{Kind: registry.Decimal, Precision: 10, Scale: 2}) {
		t.Errorf("columns %+v", r.Columns)
	}
	want := []registry.Layout{
		{Kind: dms.KindLoad, Columns: []string{"Op", "id", "fee"}},
		{Kind: dms.KindChange, Columns: []string{"Op", "id", "fee"}},
		{Kind: dms.KindChange, From: "20240117-080000123", Columns: []string{"Op", "fee", "id"}},
		{Kind: dms.KindChange, From: "20240118-0800001234", Columns: []string{"Op", "id", "fee"}},
	}
	if fmt.Sprint(r.Layouts) != fmt.Sprint(want) {
		t.Errorf("layouts %v, expected %v", r.Layouts, want)
	}
	c.Steps[0].Key, c.Steps[1].Key, c.Table.DB = "dms/RMS/Reports/LOAD00000001.csv", "dms/RMS/Reports/20240115-080000123.csv", "rms"
	if rs, _ := c.Registrations(); rs[0].Path != "rms/reports/" {
		t.Errorf("the folder is %q: a key spelled like the table comes first", rs[0].Path)
	}
	for i := range c.Steps {
		c.Steps[i].Key = "dms/RMS/Reports/" + path.Base(c.Steps[i].Key)
	}
	if rs, _ := c.Registrations(); rs[0].Prefix != "dms/" || rs[0].Path != "RMS/Reports/" || len(rs[0].Layouts) != len(want) {
		t.Errorf("got %q, %q, %v", rs[0].Prefix, rs[0].Path, rs[0].Layouts)
	}
	c.DMS.Header = true
	if rs, _ := c.Registrations(); len(rs[0].Layouts) != 0 {
		t.Errorf("files with a header have layouts %v", rs[0].Layouts)
	}
	cdc := "dms/cdc"
	c.DMS.CDCPath = &cdc
	if rs, _ := c.Registrations(); *rs[0].DMS.CDCPath != "cdc/" {
		t.Errorf("cdc path %q is not below the prefix", *rs[0].DMS.CDCPath)
	}
}

func TestOrders(t *testing.T) {
	var steps []string
	for n := 1; n <= 6; n++ {
		steps = append(steps, step(n, Put, fmt.Sprintf("dms/rms/reports/2024011%d-080000123.csv", n), "e", ""))
	}
	for n, want := range map[int]int{1: 1, 3: 6, 4: 24, 6: 24} {
		c := load(t, any1, steps[:n]...)
		orders := c.Orders(0)
		if len(orders) != want {
			t.Errorf("%d steps: %d orders, expected %d", n, len(orders), want)
		}
		distinct := map[string]bool{}
		for _, o := range orders {
			distinct[fmt.Sprint(o)] = true
		}
		if len(distinct) != len(orders) || !slices.IsSorted(orders[0]) {
			t.Errorf("%d steps: orders %v", n, orders)
		}
		if fmt.Sprint(orders) != fmt.Sprint(c.Orders(0)) {
			t.Errorf("%d steps: orders differ between runs", n)
		}
	}
	if n := len(load(t, any1, steps...).Orders(5)); n != 5 {
		t.Errorf("%d orders, expected 5", n)
	}
	if n := len(load(t, listed, steps...).Orders(0)); n != 1 {
		t.Errorf("%d orders of a listed case", n)
	}
	again := step(3, Redeliver, "dms/rms/reports/20240111-080000123.csv", "e", "")
	for _, o := range load(t, any1, steps[0], steps[1], again).Orders(0) {
		if slices.Index(o, 2) < slices.Index(o, 0) {
			t.Errorf("order %v delivers again what was not put", o)
		}
	}
}

func TestJudge(t *testing.T) {
	c := load(t, listed+`,"alternatives":[{"id":"rows","description":"","steps_expect":{"2":"applied"},"expect_rows":"expected.csv"}]`,
		step(1, Put, "dms/rms/reports/LOAD00000001.csv", "e1", `,"expect_any":["applied","held"]`),
		step(2, Put, "dms/rms/reports/20240115-080000123.csv", "e2", `,"expect_any":["quarantined"],"error_contains":"UTF"`),
		step(3, Put, "dms/rms/reports/LOAD00000001.csv", "e3", ""))
	v := c.Variants()
	if len(v) != 2 || v[1].ID != "rows" {
		t.Fatalf("variants %+v", v)
	}
	tests := []struct {
		variant, step int
		got           Result
		ok            bool
	}{
		{0, 0, Result{Outcome: Applied}, true},
		{0, 0, Result{Outcome: Held}, true},
		{0, 0, Result{Outcome: Pending}, false},
		{0, 0, Result{Outcome: Superseded}, true},
		{0, 1, Result{Quarantined, "row 3 is not utf-8"}, true},
		{0, 1, Result{Quarantined, "row 3 is bad"}, false},
		{0, 1, Result{Outcome: Applied}, false},
		{1, 1, Result{Outcome: Applied}, true},
		{1, 1, Result{Quarantined, "not utf-8"}, false},
	}
	for _, tt := range tests {
		if says := c.CheckStep(v[tt.variant], tt.step, tt.got); (says == "") != tt.ok {
			t.Errorf("variant %d, step %d, %+v: %q", tt.variant, tt.step+1, tt.got, says)
		}
	}
	if !c.LoadsAgain(2) || c.LoadsAgain(0) {
		t.Error("the reload is not told from the load")
	}
	c.Steps = c.Steps[:2]
	if c.CheckStep(v[0], 0, Result{Outcome: Superseded}) == "" {
		t.Error("superseded satisfies applied where nothing is loaded again")
	}
}

func TestParseType(t *testing.T) {
	for _, good := range []string{"bigint", "int", "string", "decimal(15,2)", "decimal(38, 4)", "timestamptz", "binary", "boolean", "Date"} {
		if _, err := parseType(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "numbr", "decimal(39,2)", "decimal(2,3)"} {
		if _, err := parseType(bad); err == nil {
			t.Errorf("type %q is taken", bad)
		}
	}
}

// TestOwnCasesRegister: what the project's own cases stand for obeys the rules.
func TestOwnCasesRegister(t *testing.T) {
	dirs, err := Find("../../conformance/testdata/cases")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		c, err := Load(dir)
		if err != nil {
			t.Error(err)
			continue
		}
		tables, err := c.Registrations()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		for _, table := range tables {
			if err := table.Validate(); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
}
