package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/tally"
)

// TestGoOnAfterAnObjectWentAway: of an object that was deleted before it was read no copy
// is named, and of one that was written again nobody is told to read it again.
func TestGoOnAfterAnObjectWentAway(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	const gone, changed = "20240304-060000000.csv", "20240304-070000000.csv"
	object := func(name string) string { return filepath.Join(s.dir, roles.RawDir, "dms/rms/reports", name) }
	s.must("pause", "rms.reports")
	s.deliver(gone, "Op,id,status,amount\nI,1,open,2.00\n")
	s.deliver(changed, "Op,id,status,amount\nI,2,open,2.00,surplus\n")
	s.check(os.Remove(object(gone)))
	s.must("resume", "rms.reports")
	s.settle()
	out := s.must("table", "show", "rms.reports")
	if !strings.Contains(out, "object.gone") || strings.Contains(out, "/…/"+gone) || !strings.Contains(out, "report.json; there is no copy of the object") ||
		!strings.Contains(out, "# once the object is put back") {
		t.Errorf("of what is gone table show says\n%s", out)
	}
	s.must("resume", "rms.reports", "--skip")
	s.settle()
	if out := s.must("table", "show", "rms.reports"); !strings.Contains(out, "row.column_count") || !strings.Contains(out, "/…/"+changed+", report.json beside it") {
		t.Errorf("of what is bad table show says\n%s", out)
	}
	s.check(os.WriteFile(object(changed), []byte("Op,id,status,amount\nI,2,open,2.00\n"), 0o600))
	s.must("resume", "rms.reports", "--retry")
	s.settle()
	out = s.must("table", "show", "rms.reports")
	if !strings.Contains(out, "object.changed") || strings.Contains(out, "read this same file again") ||
		!strings.Contains(out, "go on      blotter resume 'rms.reports' --skip") {
		t.Errorf("of what was written again table show says\n%s", out)
	}
	s.halt()
	if out, err := s.blotter("up", "--until-idle", "--stable-for", "10ms"); err == nil || !strings.Contains(out, "go on with: blotter resume 'rms.reports' --skip --dir") {
		t.Errorf("up ends with %v and says\n%s", err, out)
	}
	s.must("resume", "rms.reports", "--skip")
	s.must("up", "--until-idle")
	if out := s.must("cat", "rms.reports"); out != "id,status,amount\n2,open,2.00\n" {
		t.Errorf("the table holds\n%s", out)
	}
}

// TestALoadIsHeldTwice: what is asked next about a load is told by the command that
// answered what was asked first, and by a running system; its files wait, whoever counts.
func TestALoadIsHeldTwice(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.00\n2,open,2.00\n3,open,3.00\n4,open,4.00\n5,open,5.00\n")
	s.sealed()
	again := time.Date(2024, 3, 5, 8, 0, 0, 0, time.UTC)
	s.deliverAt(again, "LOAD00000001.csv", "id,status,amount\n1,open,1.00\n")
	s.deliverAt(again, "LOAD00000003.csv", "id,status,amount\n3,open,3.00\n")
	s.halt()
	out, err := s.blotter("up", "--until-idle")
	if err == nil || !strings.Contains(out, "rms.reports: a full load waits for its end, 2 files read; 0 of 2 files taken in; its full load is HELD: load files are missing") {
		t.Errorf("up ends with %v and says\n%s", err, out)
	}
	store, err := readStore(t.Context(), inDir(s.dir))
	s.check(err)
	lines, err := tableLines(t.Context(), store)
	s.check(err)
	sum, err := summarize(t.Context(), store, tally.New())
	s.check(err)
	s.check(store.Close())
	for i, line := range lines {
		if o := sum.tables[i]; o.held != line.Held || line.Table == reportsID && line.Held != 2 {
			t.Errorf("%s: up counts %d held, tables %d", line.Table, o.held, line.Held)
		}
	}
	said := s.must("load", "complete", "rms.reports", "--confirm")
	if !strings.HasPrefix(said, "the load of rms.reports is complete; next it is held: the load has 2 rows, the table 5: less than half; if that is right, say") {
		t.Errorf("load complete says\n%s", said)
	}
	if said = s.must("load", "complete", "rms.reports", "--confirm"); said != "the load of rms.reports is confirmed\n" {
		t.Errorf("then load complete says\n%s", said)
	}
	s.must("up", "--until-idle")
	if out := s.must("cat", "rms.reports"); out != "id,status,amount\n1,open,1.00\n3,open,3.00\n" {
		t.Errorf("the table holds\n%s", out)
	}
}

// TestADeadChannelCostsLittle: a run that ends waits for a channel that nobody answers at
// as long as it says, and no longer.
func TestADeadChannelCostsLittle(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("20240304-070000000.csv", "Op,id,status,amount\nI,2,open,2.00,surplus\n")
	s.halt()
	nobody := httptest.NewUnstartedServer(nil)
	address := nobody.Listener.Addr().String()
	nobody.Close()
	began := time.Now()
	out, err := s.blotter("up", "--until-idle", "--alerts", "https://"+address+"/hook")
	if err == nil || !strings.Contains(out, "a channel of --alerts did not answer within 5s: what it was not told is sent by the next run within a day; see `blotter alert test --dir ") {
		t.Errorf("up ends with %v and says\n%s", err, out)
	}
	if took := time.Since(began); took > roles.AlertWait+20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestApplyBeginsANewSystem: a folder that nobody has used is told of, since its name may
// be mistyped.
func TestApplyBeginsANewSystem(t *testing.T) {
	t.Parallel()
	s := &testSystem{t: t, dir: filepath.Join(t.TempDir(), "lkae")}
	file := filepath.Join(t.TempDir(), "rms.yaml")
	s.check(os.WriteFile(file, []byte(testTables), 0o600))
	told := "there was no Blotter in " + s.dir + ": one is begun there\n"
	if out := s.must("apply", "-f", file); !strings.HasPrefix(out, told) || !strings.Contains(out, "rms.reports registered, version 1") {
		t.Errorf("apply says\n%s", out)
	}
	if out := s.must("apply", "-f", file); strings.Contains(out, "no Blotter") {
		t.Errorf("a second time apply says\n%s", out)
	}
}
