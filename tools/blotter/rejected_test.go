package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// rejectingTables registers one table whose bad rows are set aside.
const rejectingTables = `
database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true, op_column: Op, null: "NULL"}
on_bad_row: quarantine
tables:
  - {name: reports, primary_key: [id], columns: {id: bigint not null, status: string, amount: "decimal(10,2)"}}
`

// rejecting is a system whose one file has three bad rows, and a later file that
// changes the row of one of them.
func rejecting(t *testing.T) (s *testSystem, file string) {
	t.Helper()
	s = startSystemOf(t, rejectingTables)
	id := s.deliver("20240304-060000000.csv", "Op,id,status,amount\nI,1,open,1.00\nI,2,open,secret\nI,3,\"NULL\",x\nI,4,NULL,y\n")
	s.deliver("20240304-070000000.csv", "Op,id,status,amount\nU,2,closed,5.00\n")
	return s, string(id[:8])
}

// write writes a file for a command.
func (s *testSystem) write(name, content string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *testSystem) rejectedFile() rejectedFile {
	s.t.Helper()
	var files []rejectedFile
	if err := json.Unmarshal([]byte(s.must("rejected", "list", "rms.reports", "--json")), &files); err != nil || len(files) != 1 {
		s.t.Fatalf("%d files (%v)", len(files), err)
	}
	return files[0]
}

const exported = `_blotter_row,_blotter_reason,Op,id,status,amount
3,"value.decimal in amount: expected a number that decimal(10, 2) holds exactly, without rounding",I,2,open,secret
4,"value.decimal in amount: expected a number that decimal(10, 2) holds exactly, without rounding",I,3,"NULL",x
5,"value.decimal in amount: expected a number that decimal(10, 2) holds exactly, without rounding",I,4,NULL,y
`

// TestRejectedRowsAreMended: out as CSV, mended, and in again, each once.
func TestRejectedRowsAreMended(t *testing.T) {
	t.Parallel()
	s, id := rejecting(t)
	if f := s.rejectedFile(); f.Rejected != 3 || f.Mended+f.Dropped+f.Waiting != "" {
		t.Errorf("at first %+v", f)
	}
	out := s.must("rejected", "export", "rms.reports", "--file", id)
	if out != exported {
		t.Fatalf("exported is\n%s", out)
	}
	// No time of day in the log looks like the value.
	const value = "47110.00"
	rows := s.write("rows.csv", strings.NewReplacer("secret", value, ",x\n", ",3.00\n").Replace(out))
	replay := []string{"rejected", "replay", "rms.reports", rows, "--file", id, "--drop", "5", "--reason", "no such report"}
	out = s.must(replay...)
	if !strings.HasPrefix(out, "2 rows mended and 1 dropped, as file ") {
		t.Errorf("it says %s", out)
	}
	s.settle()
	before := s.must("cat", "rms.reports", "--provenance")
	if got, want := s.must("cat", "rms.reports"), "id,status,amount\n1,open,1.00\n2,closed,5.00\n3,NULL,3.00\n"; got != want {
		t.Errorf("the table holds\n%s", got)
	}
	if again := s.must(replay...); !strings.HasPrefix(again, "these rows came in before, as file ") || !strings.HasSuffix(again, "which is published\n") {
		t.Errorf("the second time it says %s", again)
	}
	s.settle()
	if after := s.must("cat", "rms.reports", "--provenance"); after != before {
		t.Errorf("the second time changed the table to\n%s", after)
	}
	for _, args := range [][]string{{"tables"}, {"table", "show", "rms.reports"}} {
		if out := s.must(args...); !strings.Contains(out, "20240304-060000000.csv (mended rows)") {
			t.Errorf("%v does not name the file whose rows came last:\n%s", args, out)
		}
	}
	if f := s.rejectedFile(); f.Mended != "3-4" || f.Dropped != "5" || f.Waiting != "" {
		t.Errorf("then %+v", f)
	}
	if out := s.must("rejected", "list", "rms.reports", "--file", id); strings.Count(out, "mended") != 2 || strings.Count(out, "dropped") != 1 {
		t.Errorf("the rows are\n%s", out)
	}
	out = s.must("log", "rms.reports", "--file", id, "--service", "ingest-router")
	if !strings.Contains(out, "of "+id+", rows 3-4 mended, rows 5 dropped, no such report by ") || strings.Contains(out, value) {
		t.Errorf("the log of the file says\n%s", out)
	}
	if out := s.must("log", "rms.reports", "--file", id, "--event", "FilesPublished"); strings.Count(out, "FilesPublished") != 2 {
		t.Errorf("the way of the file and of its mended rows ends with\n%s", out)
	}
	if _, err := s.blotter("rejected", "export", "rms.reports", "--file", id); err == nil || !strings.Contains(err.Error(), "no row of this file is open") {
		t.Errorf("the export of no rows ends with %v", err)
	}
	if out := s.must("replay"); !strings.Contains(out, "rms.reports") {
		t.Errorf("the replay of the log says %s", out)
	}
	var view tableView
	if err := json.Unmarshal([]byte(s.must("table", "show", "rms.reports", "--json")), &view); err != nil || view.Rejected != 0 {
		t.Errorf("%d rows are set aside still (%v)", view.Rejected, err)
	}
}

// TestRowsOfAReplacedFileAreOpenNoMore: a load that comes again replaces the rows
// that the first one lacked, and the changes before it.
func TestRowsOfAReplacedFileAreOpenNoMore(t *testing.T) {
	t.Parallel()
	s := startSystemOf(t, rejectingTables+"load: {quiet_period: 0s}\n")
	const bad = "id,status,amount\n1,open,1.00\n2,open,secret\n"
	first := time.Date(2024, 3, 4, 5, 0, 0, 0, time.UTC)
	id := s.deliverAt(first, "LOAD00000001.csv", bad)
	s.sealed()
	s.deliverAt(first.Add(time.Hour), "20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	if f := s.rejectedFile(); f.FileID != id || f.Rejected != 1 {
		t.Fatalf("at first %+v", f)
	}
	rows := s.must("rejected", "export", "rms.reports", "--file", string(id))
	mended := s.write("rows.csv", strings.ReplaceAll(rows, "secret", "2.00"))
	s.deliverAt(first.Add(48*time.Hour), "LOAD00000001.csv", "id,status,amount\n1,open,1.00\n2,open,3.00\n")
	s.sealed()
	if got, want := s.must("cat", "rms.reports"), "id,status,amount\n1,open,1.00\n2,open,3.00\n"; got != want {
		t.Fatalf("the table holds\n%s", got)
	}
	if out := s.must("rejected", "list", "rms.reports"); out != "no rows of rms.reports are set aside\n" {
		t.Errorf("listed are\n%s", out)
	}
	for _, args := range [][]string{
		{"rejected", "export", "rms.reports", "--file", string(id)},
		{"rejected", "replay", "rms.reports", mended, "--file", string(id), "--reason", "late"},
	} {
		if _, err := s.blotter(args...); err == nil || !strings.Contains(err.Error(), "a full load has replaced this file of generation 1") {
			t.Errorf("%v ends with %v", args, err)
		}
	}
	if out := s.must("table", "show", "rms.reports"); strings.Count(out, "published: replaced after generation 1") != 2 {
		t.Errorf("the table's files are\n%s", out)
	}
}

// TestMendedRowsThatAreRefused change nothing, and say what to do.
func TestMendedRowsThatAreRefused(t *testing.T) {
	t.Parallel()
	s, id := rejecting(t)
	good := strings.NewReplacer("secret", "12.00", ",x\n", ",3.00\n", ",y\n", ",4.00\n").Replace(exported)
	for name, c := range map[string]struct {
		content string
		args    []string
		want    []string
	}{
		"bad again":       {exported, nil, []string{"refused whole", "row 3, column amount: value.decimal", "row 4, column amount", "row 5, column amount"}},
		"a lost column":   {strings.Replace(good, ",status,", ",", 1), nil, []string{"is not status"}},
		"no row numbers":  {strings.Replace(good, "_blotter_row", "row", 1), nil, []string{"the first column is not _blotter_row"}},
		"a lost field":    {strings.Replace(good, ",open", "", 1), nil, []string{"row 3 has 3 fields, its file has 4 columns"}},
		"no number":       {strings.Replace(good, "\n3,", "\nthree,", 1), nil, []string{"line 2: _blotter_row is no row number"}},
		"twice":           {good + "5,,I,4,NULL,4.00\n", nil, []string{"row 5 follows row 5"}},
		"not set aside":   {good + "6,,I,9,NULL,4.00\n", nil, []string{"rows 6 of the file were not set aside"}},
		"no CSV":          {good + "6,\"", nil, []string{"rows.csv: "}},
		"nothing":         {"", nil, []string{"read the line with the names"}},
		"no reason":       {good, []string{"--drop", "5", "--reason", ""}, []string{"say why with --reason"}},
		"no row to drop":  {good, []string{"--drop", "5-"}, []string{"--drop: rows \"5-\""}},
		"too many drops":  {good, []string{"--drop", "1-20000"}, []string{"20000 rows are named"}},
		"another file id": {good, []string{"--file", "ffffffff"}, []string{"no published file of this id"}},
	} {
		t.Run(name, func(t *testing.T) {
			rows := s.write("rows.csv", c.content)
			_, err := s.blotter(append([]string{"rejected", "replay", "rms.reports", rows, "--file", id, "--reason", "test"}, c.args...)...)
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("a value is shown: %v", err)
			}
		})
	}
	if _, err := s.blotter("rejected", "replay", "rms.reports", "--file", id); err == nil || !strings.Contains(err.Error(), "name a file with mended rows") {
		t.Errorf("without rows it ends with %v", err)
	}
	s.settle()
	if out := s.must("log", "rms.reports", "--event", "ObjectArrived"); strings.Contains(out, "mended") {
		t.Errorf("refused rows arrived:\n%s", out)
	}
	// Some rows now, the others later; one of both is refused.
	s.must("rejected", "replay", "rms.reports", s.write("rows.csv", good), "--file", id, "--drop", "4-5", "--reason", "test")
	s.settle()
	_, err := s.blotter("rejected", "replay", "rms.reports", s.write("rows.csv", good), "--file", id)
	if err == nil || !strings.Contains(err.Error(), "row(s) 3-5: mended or dropped already") {
		t.Errorf("rows a second time end with %v", err)
	}
}

// TestMendedRowsThatFailAreMendedAgain: the registration changed before they were
// read. They are skipped, the registration is put right, and the same rows come in.
func TestMendedRowsThatFailAreMendedAgain(t *testing.T) {
	t.Parallel()
	s, id := rejecting(t)
	s.must("pause", "rms.reports")
	rows := s.write("rows.csv", strings.NewReplacer("secret", "12.00", ",x\n", ",123456.00\n").Replace(exported))
	replay := []string{"rejected", "replay", "rms.reports", rows, "--file", id, "--drop", "5", "--reason", "test"}
	s.must(replay...)
	s.settle()
	if f := s.rejectedFile(); f.Waiting != "3-5" {
		t.Errorf("while the table is paused: %+v", f)
	}
	if again := s.must(replay...); !strings.HasSuffix(again, "which is waiting\n") {
		t.Errorf("asked for again it says %s", again)
	}
	other := s.write("other.yaml", strings.Replace(rejectingTables, "op_column: Op", "op_column: Operation", 1))
	s.must("apply", "-f", other)
	s.must("resume", "rms.reports")
	s.settle()
	out := s.must("log", "rms.reports", "--event", "FileQuarantined")
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, "file.column_missing") {
		t.Fatalf("the mended file is not quarantined:\n%s", out)
	}
	s.must("apply", "-f", s.write("tables.yaml", rejectingTables))
	s.must("resume", "rms.reports", "--skip")
	s.settle()
	if f := s.rejectedFile(); f.Mended+f.Dropped+f.Waiting != "" {
		t.Errorf("once the mended file is skipped: %+v", f)
	}
	if again := s.must(replay...); !strings.HasPrefix(again, "2 rows mended and 1 dropped") {
		t.Errorf("the same rows again: %s", again)
	}
	s.settle()
	if f := s.rejectedFile(); f.Mended != "3-4" || f.Dropped != "5" {
		t.Errorf("at the end %+v", f)
	}
	if got, want := s.must("cat", "rms.reports"), "id,status,amount\n1,open,1.00\n2,closed,5.00\n3,NULL,123456.00\n"; got != want {
		t.Errorf("the table holds\n%s", got)
	}
	if again := s.must(replay...); !strings.HasSuffix(again, "which is published\n") {
		t.Errorf("asked for once more it says %s", again)
	}
	s.must("replay")
}

// TestMendedRowsOfAStoppedSystem come in when it runs again.
func TestMendedRowsOfAStoppedSystem(t *testing.T) {
	t.Parallel()
	s, id := rejecting(t)
	s.halt()
	rows := s.write("rows.csv", strings.NewReplacer("secret", "12.00", ",x\n", ",3.00\n", ",y\n", ",4.00\n").Replace(exported))
	out := s.must("rejected", "replay", "rms.reports", rows, "--file", id)
	if !strings.Contains(out, "3 rows mended and 0 dropped") || !strings.Contains(out, "they come in when the system runs") {
		t.Errorf("it says %s", out)
	}
	if again := s.must("rejected", "replay", "rms.reports", rows, "--file", id); !strings.HasPrefix(again, "these rows came in before, as file ") {
		t.Errorf("the second time it says %s", again)
	}
	s.must("up", "--until-idle")
	if got, want := s.must("cat", "rms.reports"), "id,status,amount\n1,open,1.00\n2,closed,5.00\n3,NULL,3.00\n4,\\N,4.00\n"; got != want {
		t.Errorf("the table holds\n%s", got)
	}
}

// TestMendedRowsOfParquet: values of a Parquet file go out as text and come in as
// what they were.
func TestMendedRowsOfParquet(t *testing.T) {
	t.Parallel()
	s := startSystemOf(t, strings.Replace(rejectingTables, "{header: true,", "{format: parquet,", 1))
	type row struct {
		Op     string  `parquet:"Op"`
		ID     int64   `parquet:"id"`
		Status *string `parquet:"status,optional"`
		Amount string  `parquet:"amount"`
	}
	empty, quoted := "", "a \"b\",\n"
	var file bytes.Buffer
	w := parquet.NewGenericWriter[row](&file)
	rows := []row{{"I", 1, nil, "1.00"}, {"I", 2, &empty, "two"}, {"I", 3, nil, "three"}, {"I", 4, &quoted, "four"}}
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	id := string(s.deliver("20240304-060000000.parquet", file.String())[:8])
	out := s.must("rejected", "export", "rms.reports", "--file", id)
	mended := s.write("rows.csv", strings.NewReplacer("two", "2.00", "three", "3.00", "four", "4.00").Replace(out))
	s.must("rejected", "replay", "rms.reports", mended, "--file", id)
	s.settle()
	want := "id,status,amount\n1,\\N,1.00\n2,,2.00\n3,\\N,3.00\n4,\"a \"\"b\"\",\n\",4.00\n"
	if got := s.must("cat", "rms.reports"); got != want {
		t.Errorf("the table holds\n%s", got)
	}
	s.must("replay")
}

// On a stopped system, too, it is known at once which rows come in, and a row that
// is on its way is refused.
func TestRejectedRowsOfAStoppedSystem(t *testing.T) {
	t.Parallel()
	s, id := rejecting(t)
	s.halt()
	rows := s.write("rows.csv", strings.NewReplacer("secret", "12.00", ",x\n", ",3.00\n").Replace(exported))
	out := s.must("rejected", "replay", "rms.reports", rows, "--file", id, "--drop", "5", "--reason", "no such report")
	if !strings.Contains(out, "2 rows mended and 1 dropped") || !strings.Contains(out, "when the system runs") {
		t.Errorf("it says %s", out)
	}
	if f := s.rejectedFile(); f.Waiting != "3-5" || f.Mended+f.Dropped != "" {
		t.Errorf("then %+v", f)
	}
	_, err := s.blotter("rejected", "replay", "rms.reports", "--file", id, "--drop", "4", "--reason", "another mind")
	if err == nil || !strings.Contains(err.Error(), "row(s) 4: mended or dropped already") {
		t.Errorf("a row on its way is dropped: %v", err)
	}
}
