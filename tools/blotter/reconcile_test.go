package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// put puts files into the raw folder, of which nobody tells.
func (s *testSystem) put(files map[string]string) {
	s.t.Helper()
	for key, content := range files {
		path := filepath.Join(s.dir, roles.RawDir, filepath.FromSlash(key))
		s.check(os.MkdirAll(filepath.Dir(path), 0o755))
		s.check(os.WriteFile(path, []byte(content), 0o644))
	}
}

func (s *testSystem) says(out string, want ...string) {
	s.t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			s.t.Errorf("it does not say %q but\n%s", w, out)
		}
	}
}

const (
	reportsFolder = "dms/rms/reports/"
	peopleFolder  = "dms/rms/people/"
)

// A reconcile takes in what no event told, of a running and of a stopped system; a dry
// run says what that is and changes nothing.
func TestReconcile(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.00\n")
	s.sealed()
	s.put(map[string]string{
		reportsFolder + "20240304-060000000.csv": "Op,id,status,amount\nI,2,open,2.00\n",
		reportsFolder + "20240304-070000000.csv": "Op,id,status,amount\nU,2,closed,2.00\n",
		peopleFolder + "20240304-060000000.csv":  "Op,id,name\nI,1,Ann\n",
		"dms/rms/stray/LOAD00000001.csv":         "id\n1\n",
		"readme.txt":                             "no data",
	})
	s.whole()
	before, err := s.process.Log.Last(t.Context())
	s.check(err)
	out := s.must("reconcile", "--dry-run")
	s.says(out, "6 objects listed, 5 of them would be told of; nothing was changed\n", "  rms.people: 1\n  rms.reports: 2\n",
		"  of no registered table: 1, which would be held\n", "  no data files of DMS: 1, which are ignored\n")
	if after, err := s.process.Log.Last(t.Context()); err != nil || after != before {
		t.Errorf("the dry run brings the log from %d to %d (%v)", before, after, err)
	}
	s.says(s.must("reconcile", "--prefix", peopleFolder), "1 object listed, 1 of them had not been told\n  rms.people: 1\n")
	s.says(s.must("reconcile", "--after", reportsFolder+"20240304-060000000.csv", "--reason", "an outage"),
		"4 objects listed, 3 of them had not been told\n  rms.reports: 1\n", "of no registered table: 1, which are held; see: blotter held list --dir "+s.dir+"\n")
	s.says(s.must("reconcile"), "6 objects listed, 1 of them had not been told\n  rms.reports: 1\n")
	if out := s.must("reconcile", "--dry-run"); out != "6 objects listed, 0 of them would be told of; nothing was changed\n" {
		t.Errorf("when all is told it says\n%s", out)
	}
	s.settle()
	if out := s.must("cat", "rms.reports"); out != "id,status,amount\n1,open,1.00\n2,closed,2.00\n" {
		t.Errorf("the table holds\n%s", out)
	}
	s.says(s.must("log", "rms.reports", "--event", "ListingCompleted"), "an outage")
	s.stoppedReconcile()
}

// A log that is about to be full is told by the exit code, of a dry run, too.
func TestReconcileTellsOfAFullLog(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.00\n")
	s.sealed()
	s.settle()
	out := s.must("reconcile", "--dry-run")
	size, most, err := s.process.Log.Fill(t.Context())
	s.check(err)
	if size == 0 || most != 16<<30 {
		t.Fatalf("the log has %d of %d bytes", size, most)
	}
	nc, err := nats.Connect(s.process.URL())
	s.check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	s.check(err)
	stream, err := js.Stream(t.Context(), "BLOTTER")
	s.check(err)
	for percent, full := range map[uint64]bool{69: false, 71: true} {
		cfg := stream.CachedInfo().Config
		cfg.MaxBytes = int64(size * 100 / percent)
		_, err = js.UpdateStream(t.Context(), cfg)
		s.check(err)
		got, err := s.blotter("reconcile", "--dry-run")
		var found *foundError
		if !strings.HasPrefix(got, out) || errors.As(err, &found) != full || full && !strings.Contains(err.Error(), "blotter audit trim") {
			t.Errorf("at %d %% it ends with %v\n%s", percent, err, got)
		}
	}
}

// whole waits until no file counts as being written any more, and gives what a dry run
// says then.
func (s *testSystem) whole() string {
	s.t.Helper()
	tick, deadline := time.NewTicker(200*time.Millisecond), time.NewTimer(time.Minute)
	defer tick.Stop()
	defer deadline.Stop()
	for {
		out := s.must("reconcile", "--dry-run")
		if !strings.Contains(out, "passed over") {
			return out
		}
		s.says(out, "passed over; run it again when that is mended. The first: ", ": it is still being written\n")
		select {
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("it says\n%s", out)
		}
	}
}

func (s *testSystem) stoppedReconcile() {
	s.t.Helper()
	s.halt()
	s.put(map[string]string{reportsFolder + "20240304-080000000.csv": "Op,id,status,amount\nD,1,,\n"})
	s.says(s.whole(), "7 objects listed, 1 of them would be told of; nothing was changed\n  rms.reports: 1\n")
	s.says(s.must("reconcile", "--reason", "while it was stopped"), "7 objects listed, 1 of them had not been told\n  rms.reports: 1\nthey come in when the system runs\n")
	s.says(s.must("reconcile"), "7 objects listed, 0 of them had not been told\n")
	if out, err := s.blotter("up", "--until-idle", "--stable-for", "10ms"); !errors.Is(err, errUnsettled) { // one object is held
		s.t.Errorf("it ends with %v\n%s", err, out)
	}
	if out := s.must("cat", "rms.reports"); out != "id,status,amount\n2,closed,2.00\n" {
		s.t.Errorf("the table holds\n%s", out)
	}
}

// What broke off says where it stood, and what to type to go on.
func TestReconcileGoesOn(t *testing.T) {
	t.Parallel()
	r := ingestrouter.ReconcileRequest{Prefix: "dms/", After: "dms/a b", Reason: "an outage"}
	dry := r
	dry.DryRun = true
	for _, tt := range []struct {
		r    ingestrouter.ReconcileRequest
		at   ingestrouter.Place
		want string
	}{
		{r, ingestrouter.Place{}, "nothing was listed yet; go on with: blotter reconcile --after 'dms/a b' --prefix dms/ --reason 'an outage' --dir d"},
		{r, ingestrouter.Place{Key: "dms/x", Looked: 1, New: 1},
			"it had looked for load files, 1 of 1 object new; go on with: blotter reconcile --after 'dms/a b' --prefix dms/ --reason 'an outage' --dir d"},
		{r, ingestrouter.Place{Pass: ingestrouter.PassAll, Looked: 9, New: 1},
			"it had looked for load files, 1 of 9 objects new; go on with: blotter reconcile --after 'dms/a b' --prefix dms/ --reason 'an outage' --dir d"},
		{dry, ingestrouter.Place{Pass: ingestrouter.PassAll, Key: "dms/it's", Listed: 5, New: 2},
			`all is listed up to dms/it's, 2 of 5 objects new; go on with: blotter reconcile --after 'dms/it'\''s' --prefix dms/ --reason 'an outage' --dry-run --dir d`},
	} {
		tt.r.At = tt.at
		if got := brokenOff(tt.r, " --dir d"); got != tt.want {
			t.Errorf("%+v: it says\n%s, expected\n%s", tt.at, got, tt.want)
		}
	}
}

// Progress is told now and then, not of every step.
func TestReconcileProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := listingProgress{out: &out, now: func() time.Time { return now }, shown: now}
	for _, at := range []ingestrouter.Place{
		{Looked: 10, New: 1}, {Looked: 20, New: 2}, {Looked: 30, New: 3},
		{Pass: ingestrouter.PassAll, Looked: 30, Listed: 10, New: 3}, {Pass: ingestrouter.PassAll, Looked: 30, Listed: 20, New: 4},
		{Pass: ingestrouter.PassDone, Listed: 30, New: 5}, {Pass: ingestrouter.PassDone, Listed: 30, New: 5},
	} {
		now = now.Add(linesEvery / 2)
		p.show(at)
	}
	if want := "looked for load files: 20, new 2\nlisted 10, new 3\n"; out.String() != want {
		t.Errorf("it shows\n%s, expected\n%s", out.String(), want)
	}
}
