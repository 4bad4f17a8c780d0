package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// Held objects are told while the system runs and when it is stopped, and can be
// given up in both.
func TestHeldObjects(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	for _, name := range []string{"a/LOAD00000001.csv", "a/LOAD00000002.csv", "b/LOAD00000001.csv"} {
		path := filepath.Join(s.dir, roles.RawDir, "dms/rms", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("id\n1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.sealed()
	if out := s.must("tables"); !strings.Contains(out, "3 objects are held, of no registered table; see: blotter held list --dir") {
		t.Errorf("tables says\n%s", out)
	}
	if out, err := s.blotter("held", "ignore", "dms/rms/a/"); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Errorf("without a reason: %v\n%s", err, out)
	}
	if out := s.must("held", "ignore", "dms/rms/a/", "--reason", "a test"); out != "2 objects are ignored from now on\n" {
		t.Errorf("ignore says %s", out)
	}
	s.halt()
	if out := s.must("held", "list"); !strings.Contains(out, "dms/rms/b/LOAD00000001.csv") || strings.Contains(out, "rms/a/") || !strings.Contains(out, "blotter held ignore KEY|FOLDER/ --reason") {
		t.Errorf("list says\n%s", out)
	}
	s.must("held", "ignore", "dms/rms/b/LOAD00000001.csv", "--reason", "a test")
	if out := s.must("held", "list"); out != "no object is held\n" {
		t.Errorf("list says\n%s", out)
	}
	if out := s.must("held", "list", "--ignored"); !strings.HasPrefix(out, "ignored by an operator's word: 3 objects\n") || !strings.Contains(out, "blotter held take-back KEY|FOLDER/ --reason") {
		t.Errorf("the list of the ignored says\n%s", out)
	}
	if out := s.must("held", "take-back", "dms/rms/a/", "--reason", "asked for"); out != "2 objects are held again\n" {
		t.Errorf("take-back says %s", out)
	}
	if out := s.must("held", "take-back", "dms/rms/a/", "--reason", "asked for"); out != "2 objects are held already\n" {
		t.Errorf("take-back again says %s", out)
	}
	if out := s.must("held", "list", "--limit", "1"); !strings.Contains(out, "held, of no registered table: 2 objects\n") || !strings.Contains(out, "there are more") || !strings.Contains(out, "KEY|FOLDER/|SCHEMA.TABLE") {
		t.Errorf("list says\n%s", out)
	}
	if out := s.must("log", "_.raw", "--event", "ObjectHeld"); strings.Count(out, "taken_back, asked for by ") != 2 {
		t.Errorf("the log says\n%s", out)
	}
	for _, wrong := range []string{"dms/rms/a", "rms.a"} {
		if _, err := s.blotter("held", "ignore", wrong, "--reason", "a test"); err == nil || !strings.Contains(err.Error(), "no held object is named by") ||
			!strings.HasSuffix(err.Error(), "; did you mean dms/rms/a/?") {
			t.Errorf("%s is ignored: %v", wrong, err)
		}
	}
	s.must("held", "ignore", "dms/rms/a/", "--reason", "a test")
	if out := s.must("tables"); strings.Contains(out, "held, of no") {
		t.Errorf("tables says\n%s", out)
	}
	s.lose("control.db")
	s.lose("hold.db")
	s.must("replay", "--rebuild")
	if out := s.must("held", "list", "--ignored"); !strings.HasPrefix(out, "ignored by an operator's word: 3 objects\n") {
		t.Errorf("rebuilt from the log, the list of the ignored says\n%s", out)
	}
	if out := s.must("log", "_.raw", "--event", "ObjectIgnored"); strings.Count(out, "dismissed, a test by ") != 5 {
		t.Errorf("the log says\n%s", out)
	}
}

// What is taken back of a table that is registered by now comes in, at once or when the
// system runs.
func TestTakenBackOfARegisteredTable(t *testing.T) {
	t.Parallel()
	s := startSystemOf(t, strings.Replace(testTables, "name: people", "name: others", 1))
	ignored := func(name string) {
		t.Helper()
		path := filepath.Join(s.dir, roles.RawDir, "dms/rms", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("id,name\n1,Ada\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.sealed()
		s.must("held", "ignore", "dms/rms/"+name, "--reason", "a test")
	}
	ignored("people/LOAD00000001.csv")
	ignored("people/LOAD00000002.csv")
	ignored("nobodys/LOAD00000001.csv")
	s.must("apply", "-f", s.write("tables.yaml", testTables))
	s.settle()
	if out := s.must("held", "take-back", "dms/rms/people/LOAD00000001.csv", "--reason", "asked for"); out != "1 object is taken back and comes in at once, since its table is registered by now\n" {
		t.Errorf("while the system runs it says %s", out)
	}
	s.halt()
	if out := s.must("held", "take-back", "dms/rms/", "--reason", "asked for"); out != "1 object is taken back and comes in when the system runs, since its table is registered by now; 1 object is held again\n" {
		t.Errorf("while it is stopped it says %s", out)
	}
}

// Objects below another prefix than the registered one are held, and it is told what is
// wrong: in the list, and at the end of a run.
func TestHeldBelowAnotherPrefix(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	path := filepath.Join(s.dir, roles.RawDir, "dms/prod/rms/reports/LOAD00000001.csv")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("id,status,amount\n1,open,1.00\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.sealed()
	const hint = `rms.reports is registered at "dms/rms/reports/", these objects lie at "dms/prod/rms/reports/": if they are its own, set source.prefix to "dms/prod/"`
	if out := s.must("held", "list"); !strings.Contains(out, hint) {
		t.Errorf("list says\n%s", out)
	}
	s.halt()
	if out, err := s.blotter("up", "--until-idle"); err == nil || !strings.Contains(out, hint) {
		t.Errorf("up ends with %v and says\n%s", err, out)
	}
	// As it is told, so it helps.
	moved := s.write("tables.yaml", strings.Replace(testTables, "prefix: dms/", "prefix: dms/prod/", 1))
	if out := s.must("up", "--until-idle", "--tables", moved); strings.Contains(out, "held, of no") {
		t.Errorf("up says\n%s", out)
	}
	if out := s.must("cat", "rms.reports"); out != "id,status,amount\n1,open,1.00\n" {
		t.Errorf("the table holds\n%s", out)
	}
}

// Rows of a transaction file are looked for in its own database.
func TestHeldPartsNameTheirDatabase(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printWaysOfHeld(&out, []heldObject{{Key: "dms/tx/CDC_TXN-1.csv", Part: "pub.licenses", Database: "rms"}}, nil, false, " --dir d")
	if !strings.Contains(out.String(), "register pub.licenses in database rms") || !strings.Contains(out.String(), "held ignore SCHEMA.TABLE --reason") {
		t.Errorf("it says\n%s", &out)
	}
}

// What failed is told as long as it waits for an operator.
func TestTablesTellWhatFailedStill(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	if out := s.must("tables"); !strings.Contains(out, "failed last") {
		t.Errorf("tables says\n%s", out)
	}
	s.must("resume", "rms.reports", "--skip")
	s.settle()
	if out := s.must("tables"); strings.Contains(out, "failed last") {
		t.Errorf("tables says\n%s", out)
	}
	out := s.must("table", "show", "rms.reports")
	if !strings.Contains(out, "; now skipped") || !strings.Contains(out, "gaps: files that were skipped") {
		t.Errorf("show says\n%s", out)
	}
	s.deliverAt(time.Date(2024, 3, 5, 8, 0, 0, 0, time.UTC), "LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,open,1\n3,open,2\n4,open,3\n")
	s.sealed()
	if out := s.must("table", "show", "rms.reports"); strings.Contains(out, "gaps: ") || !strings.Contains(out, "skipped") {
		t.Errorf("after a reload show says\n%s", out)
	}
}

// A change file whose object was there before with other content is marked.
func TestWrittenAgain(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 3, 4, 8, 0, 0, 0, time.UTC)
	file := func(id, key string, kind dms.FileKind, modified time.Time) *lockmanager.File {
		return &lockmanager.File{ID: dms.FileID(id), Kind: kind, Status: lockmanager.Published, Object: dms.Object{Key: key, LastModified: modified},
			Counts: &blotterv1.RowCounts{RowsRead: 1}}
	}
	files := []*lockmanager.File{
		file("3", "a", dms.KindChange, at.Add(2)), file("2", "a", dms.KindChange, at.Add(1)), file("1", "a", dms.KindChange, at),
		file("4", "b", dms.KindChange, at), file("5", "l", dms.KindLoad, at), file("6", "l", dms.KindLoad, at.Add(1)),
	}
	if again := writtenAgain(files); len(again) != 2 || !again["2"] || !again["3"] {
		t.Errorf("written again are %v", again)
	}
	var out bytes.Buffer
	(&tableView{}).printFiles(&out, "files", 6, files)
	if strings.Count(out.String(), "published, written again") != 2 || !strings.Contains(out.String(), "write elsewhere and rename") {
		t.Errorf("it says\n%s", &out)
	}
}
