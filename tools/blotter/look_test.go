package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/eventlog"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// The commands show the same of a running and of a stopped system.
func TestLookRunningAndStopped(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	broken := s.fill()
	for _, state := range []string{"running", "stopped"} {
		t.Run(state, func(t *testing.T) {
			if state == "stopped" {
				s.halt()
			}
			s.golden("tables", s.must("tables"))
			s.golden("show", s.must("table", "show", "rms.reports"))
			s.golden("cat", s.must("cat", "rms.reports"))
			s.golden("cat_empty_null", s.must("cat", "rms.reports", "--null", ""))
			s.golden("cat_provenance", s.must("cat", "rms.reports", "--provenance"))
			checkLog(t, s, string(broken))
			checkJSON(t, s)
			checkContents(t, s)
			checkErrors(t, s)
		})
	}
}

func checkLog(t *testing.T, s *testSystem, broken string) {
	t.Helper()
	for _, c := range []struct {
		args  []string
		holds []string
		lacks []string
	}{
		{[]string{"log"}, []string{"rms.people", "rms.reports", "TableRegistered", "FilesPublished", "FileQuarantined"}, nil},
		{[]string{"log", "rms.people"}, []string{"registration version 1", "CommandAnswered"}, []string{"rms.reports "}},
		{[]string{"log", "--service", "curator"}, []string{"4 rows, 1 deleted", "GrantFenced"}, []string{"LockGranted"}},
		{[]string{"log", "--event", "TablePaused"}, []string{broken[:8] + " 20240304-070000000.csv, failure, row.column_count: "}, []string{"FilesPublished"}},
		{[]string{"log", "rms.reports", "--file", broken[:8]}, []string{"ObjectArrived", "LockGranted", "TransformFailed", "TablePaused"}, []string{"LOAD00000001", "CommandAnswered"}},
		{[]string{"log", "--since", "1h", "--until", "2000-01-01"}, nil, []string{"rms"}},
		{[]string{"log", "--since", "2000-01-01T00:00:00Z"}, []string{"ListingCompleted"}, nil},
	} {
		out := s.must(c.args...)
		for _, want := range c.holds {
			if !strings.Contains(out, want) {
				t.Errorf("%v lacks %q:\n%s", c.args, want, out)
			}
		}
		for _, lack := range c.lacks {
			if strings.Contains(out, lack) {
				t.Errorf("%v holds %q:\n%s", c.args, lack, out)
			}
		}
		if strings.Contains(out, "surplus") {
			t.Errorf("%v shows a value of a row:\n%s", c.args, out)
		}
	}
}

func checkContents(t *testing.T, s *testSystem) {
	t.Helper()
	var v filesView
	if err := json.Unmarshal([]byte(s.must("table", "files", "rms.reports", "--json")), &v); err != nil {
		t.Fatal(err)
	}
	if v.Rows != 5 || len(v.DataFiles) != 1 || v.DataFiles[0].Rows != 5 || len(v.Snapshots) < 2 || len(v.Due) > 0 {
		t.Errorf("table files --json: %+v", v)
	}
	out := s.must("table", "files", "rms.reports", "--limit", "1")
	for _, want := range []string{"rms.reports: 5 rows, ", "in 1 data file and 0 delete files", "snapshots, newest first (1 of ", "too young", "no maintenance is due"} {
		if !strings.Contains(out, want) {
			t.Errorf("table files lacks %q:\n%s", want, out)
		}
	}
}

func checkJSON(t *testing.T, s *testSystem) {
	t.Helper()
	var lines []tableLine
	if err := json.Unmarshal([]byte(s.must("tables", "--json")), &lines); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 2 || lines[1].Flag != "P" || lines[1].Held != 1 || lines[1].Quarantined != 1 || lines[1].Rows != 5 {
		t.Errorf("tables --json: %+v", lines)
	}
	var view tableView
	if err := json.Unmarshal([]byte(s.must("table", "show", "rms.reports", "--json", "--limit", "2")), &view); err != nil {
		t.Fatal(err)
	}
	if len(view.QuarantinedFiles) != 1 || view.QuarantinedFiles[0].Failure.GetRow() != 2 ||
		len(view.WaitingFiles) != 1 || len(view.History) != 2 || view.SpecVersion != 1 {
		t.Errorf("table show --json: %+v", view)
	}
	seq := uint64(0)
	for line := range strings.Lines(s.must("log", "--json")) {
		var event struct {
			Seq     uint64 `json:"seq"`
			Service string `json:"service"`
			ID      string `json:"id"`
			Event   struct {
				Type string `json:"@type"`
			} `json:"event"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if seq++; event.Seq != seq || event.Service == "" || event.ID == "" || !strings.Contains(event.Event.Type, "blotter.v1.") {
			t.Errorf("log --json: %s", line)
		}
	}
	if seq < 20 {
		t.Errorf("log --json holds %d events", seq)
	}
}

func checkErrors(t *testing.T, s *testSystem) {
	t.Helper()
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"cat", "rms.people"}, []string{"nothing of rms.people is published yet", "table show"}},
		{[]string{"cat", "rms.nobody"}, []string{"rms.nobody is not known here", "blotter tables"}},
		{[]string{"cat", "reports"}, []string{"expected <db>.<table>"}},
		{[]string{"cat", "rms.reports", "--null", "a,b"}, []string{"no comma"}},
		{[]string{"table", "show", "rms.nobody"}, []string{"rms.nobody is not known here"}},
		{[]string{"table", "show", "rms.reports", "--limit", "0"}, []string{"at least 1"}},
		{[]string{"log", "rms.reports", "--service", "x", "--event", "Y", "--since", "z", "--file", "1"}, []string{"--service", "--event", "--since", "--file"}},
	} {
		out, err := s.blotter(c.args...)
		if err == nil {
			t.Errorf("%v succeeds:\n%s", c.args, out)
			continue
		}
		for _, want := range c.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v says %q, not %q", c.args, err, want)
			}
		}
	}
}

func TestFolderWithoutSystem(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"tables"}, {"table", "show", "a.b"}, {"cat", "a.b"}, {"log"}, {"pause", "a.b"}, {"reconcile"}} {
		dir := t.TempDir()
		_, err := command(t.Context(), nil, append(args, "--dir", dir)...)
		if err == nil || !strings.Contains(err.Error(), "there is no Blotter in "+dir) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// Operators' commands work on a running and on a stopped system, and what was
// held follows.
func TestControl(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	pausedTable := func() tableLine {
		var lines []tableLine
		if err := json.Unmarshal([]byte(s.must("tables", "--json")), &lines); err != nil {
			t.Fatal(err)
		}
		return lines[0]
	}
	s.must("pause", "rms.people", "--reason", "while it runs")
	if l := pausedTable(); l.Flag != "P" || l.Pause.Reason != "operator" {
		t.Errorf("after pause: %+v", l)
	}
	followed := follow(t, s, "rms.people")
	s.must("resume", "rms.people")
	if line := followed("TableResumed"); !strings.Contains(line, "lock-manager") {
		t.Errorf("followed: %s", line)
	}
	s.must("flag", "rms.people", "G", "--reason", "larger")
	s.halt()
	if l := pausedTable(); l.Flag != "G" {
		t.Errorf("after flag: %+v", l)
	}
	s.must("flag", "rms.people", "L")
	if _, err := s.blotter("log", "--follow"); err == nil || !strings.Contains(err.Error(), "nothing runs") {
		t.Errorf("log --follow of a stopped system: %v", err)
	}
	if _, err := s.blotter("resume", "rms.reports"); err == nil || !strings.Contains(err.Error(), "--skip") {
		t.Errorf("resume without saying how: %v", err)
	}
	s.must("resume", "rms.reports", "--skip", "--reason", "damaged at the source")
	s.must("up", "--until-idle")
	s.golden("show_resumed", s.must("table", "show", "rms.reports"))
	s.golden("cat_resumed", s.must("cat", "rms.reports"))
	checkGap(t, s)
	if out := s.must("log", "rms.reports", "--event", "CommandAnswered"); !strings.Contains(out, "damaged at the source") {
		t.Errorf("the log does not say why:\n%s", out)
	}
}

// checkGap: a file that was skipped is told of until it is written again at the source.
func checkGap(t *testing.T, s *testSystem) {
	t.Helper()
	const gap = "rms.reports lacks 1 file that was skipped; see: blotter table show 'rms.reports' --dir "
	if out := s.must("tables"); !strings.Contains(out, gap) {
		t.Errorf("tables tells of no gap:\n%s", out)
	}
	if out := s.must("up", "--until-idle"); !strings.Contains(out, gap) {
		t.Errorf("up tells of no gap:\n%s", out)
	}
	name := filepath.Join(s.dir, roles.RawDir, "dms/rms/reports/20240304-070000000.csv")
	if err := os.WriteFile(name, []byte("Op,id,status,amount\nU,9,closed,3.00\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.must("up", "--until-idle", "--stable-for", "10ms"); !strings.Contains(out, "1 of 1 file taken in") || strings.Contains(out, "lacks") {
		t.Errorf("up says\n%s", out)
	}
	var lines []tableLine
	if err := json.Unmarshal([]byte(s.must("tables", "--json")), &lines); err != nil || lines[1].GapCount != 0 {
		t.Errorf("then there is a gap still (%v): %+v", err, lines)
	}
	if out := s.must("table", "show", "rms.reports"); strings.Contains(out, "gaps") || !strings.Contains(out, "published, written again") {
		t.Errorf("table show says\n%s", out)
	}
}

// follow runs `log --follow` until the test ends; the function that it gives
// waits for a line that holds a text.
func follow(t *testing.T, s *testSystem, table string) func(want string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	root := newRoot()
	root.SetArgs([]string{"log", table, "--follow", "--dir", s.dir})
	root.SetOut(out)
	ended := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		_ = out.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(in)
	return func(want string) string {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				cancel()
				_, _ = io.Copy(io.Discard, in)
				if err := <-ended; err != nil {
					t.Errorf("log --follow ends with %v", err)
				}
				return lines.Text()
			}
		}
		t.Fatalf("log --follow ended without %s", want)
		return ""
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	for r, err := range s.process.Log.Read(t.Context(), eventlog.Filter{Event: "TableRegistered", Service: lockmanager.ServiceName}) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := eventlog.Encode(r.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		out, err := command(t.Context(), b, "decode")
		if err != nil {
			t.Fatal(err)
		}
		var event struct {
			ID, Table string
			Event     map[string]any
		}
		if err := json.Unmarshal([]byte(out), &event); err != nil {
			t.Fatal(err)
		}
		if event.ID != r.Envelope.GetId() || event.Table != r.Table.String() || event.Event["spec_version"] != "1" {
			t.Errorf("decode gives %s", out)
		}
	}
	for _, text := range []string{"", "hello", `{"id":"x"}`, "\x0a\x01a"} {
		if out, err := command(t.Context(), []byte(text), "decode"); err == nil || !strings.Contains(err.Error(), "stdin") {
			t.Errorf("decode of %q: %v %s", text, err, out)
		}
	}
}

// Every command has an example and says what it is for.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := newRoot()
	for _, c := range root.Commands() {
		commands := append(c.Commands(), c)
		for _, c := range commands {
			if c.Short == "" || c.Runnable() && c.Example == "" {
				t.Errorf("%s lacks a short text or an example", c.CommandPath())
			}
			if out, err := command(t.Context(), nil, append(strings.Fields(c.CommandPath())[1:], "--help")...); err != nil || out == "" {
				t.Errorf("%s --help: %v", c.CommandPath(), err)
			}
		}
	}
}

// TestFilesOfATableOfWhichNothingIsPublished tells that from an unknown table.
func TestFilesOfATableOfWhichNothingIsPublished(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	for table, want := range map[string]string{
		"rms.people": "nothing of rms.people is published yet; see `blotter table show 'rms.people'", "rms.nobody": "rms.nobody",
	} {
		_, err := s.blotter("table", "files", table)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "no such table in the lake") {
			t.Errorf("table files %s ends with %v", table, err)
		}
	}
}

// A load that is under way is shown with its files, and what waits for it.
func TestShowLoad(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.deliver("LOAD00000003.csv", "id,status,amount\n2,open,1.50\n")
	s.deliver("20240304-090000000.csv", "Op,id,status,amount\nU,1,closed,2.00\n")
	s.golden("show_load", s.must("table", "show", "rms.reports"))
	s.sealed()
	s.golden("show_load_held", s.must("table", "show", "rms.reports"))
	if out, want := s.must("tables"), "rms.reports: its full load waits for a word (gap); see: blotter table show 'rms.reports'"; !strings.Contains(out, want) {
		t.Errorf("tables does not tell of the load that is held:\n%s", out)
	}
	s.must("load", "complete", "rms.reports", "--confirm", "--reason", "file 2 was empty")
	s.settle()
	if out := s.must("tables"); strings.Contains(out, "waits for a word") {
		t.Errorf("tables tells of a load that was confirmed:\n%s", out)
	}
	if out := s.must("cat", "rms.reports"); out != "id,status,amount\n1,closed,2.00\n2,open,1.50\n" {
		t.Errorf("after the load: %s", out)
	}
}
