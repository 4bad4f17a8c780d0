package lockmanager

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// afterTaskStarted is a table whose load only a task of DMS has opened, and a change
// file of it that waits.
func afterTaskStarted(t *testing.T, quiet time.Duration) (*State, *File) {
	t.Helper()
	s := streaming()
	s.QuietPeriod = quiet
	tells(t, s, &blotterv1.SourceTaskChanged{Task: "arn", State: loadStarted, Time: timestamppb.New(signalTime.Add(time.Minute))})
	change := rawOf(dms.KindChange, "20240705-090000000.csv")
	tells(t, s, &blotterv1.FileClassified{File: wire.FileRef(change)})
	f := s.Files[change.ID]
	if s.Load == nil || f == nil || !f.Held {
		t.Fatalf("the load is %+v, the change file %+v", s.Load, f)
	}
	return s, f
}

// rawOf is a file of the test's table.
func rawOf(kind dms.FileKind, name string) dms.File {
	o := dms.Object{Bucket: "raw", Key: "rms/reports/" + name, ETag: "1", Size: 1, LastModified: signalTime.Add(time.Hour)}
	return dms.File{ID: dms.NewFileID(o, kind), Object: o, Kind: kind, Order: dms.FileOrder(name)}
}

// TestLoadWithoutFile: a load to which no file comes does not hold the change files of
// its table for ever; one to which a file has come waits for its end.
func TestLoadWithoutFile(t *testing.T) {
	cfg := DefaultConfig()
	for name, c := range map[string]struct {
		wait   time.Duration // if it is another than the default
		quiet  time.Duration
		file   bool // a load file comes first
		looked time.Duration
		tick   time.Duration
		cause  string
		ends   bool
	}{
		"too early":                      {tick: cfg.LoadWait - time.Second},
		"long enough":                    {tick: cfg.LoadWait, cause: abandonedNoFile, ends: true},
		"restarted every day":            {tick: cfg.LoadWait, looked: cfg.LoadWait - loadGrace, cause: abandonedNoFile, ends: true},
		"restarted just now":             {tick: cfg.LoadWait, looked: cfg.LoadWait - loadGrace + time.Second},
		"restarted, and too early":       {tick: cfg.LoadWait - time.Second, looked: 2 * time.Hour},
		"nobody looked for days":         {tick: 5*cfg.LoadWait + loadGrace - time.Second, looked: 5 * cfg.LoadWait},
		"somebody looks after days":      {tick: 5*cfg.LoadWait + loadGrace, looked: 5 * cfg.LoadWait, cause: abandonedNoFile, ends: true},
		"a short wait is its own grace":  {wait: time.Minute, tick: time.Hour, looked: time.Hour - time.Minute, cause: abandonedNoFile, ends: true},
		"the short wait is not over":     {wait: time.Minute, tick: time.Hour, looked: time.Hour - time.Minute + time.Second},
		"quiet only while looked":        {quiet: 2 * time.Hour, tick: 3 * time.Hour, looked: 2 * time.Hour},
		"a quiet period is sooner":       {quiet: 10 * time.Minute, tick: 10 * time.Minute, cause: "quiet_period", ends: true},
		"a quiet period that is longer":  {quiet: 2 * cfg.LoadWait, tick: cfg.LoadWait, cause: abandonedNoFile, ends: true},
		"a file has come, none ends it":  {file: true, tick: 100 * cfg.LoadWait},
		"a file, and its quiet period":   {file: true, quiet: time.Hour, tick: time.Hour - time.Second},
		"a file, and a quiet period ago": {file: true, quiet: time.Hour, tick: time.Hour, ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, change := afterTaskStarted(t, c.quiet)
			cfg := cfg
			cfg.LoadWait = cmp.Or(c.wait, cfg.LoadWait)
			if c.file {
				f := rawOf(dms.KindLoad, "LOAD00000002.csv")
				tells(t, s, &blotterv1.FileClassified{File: wire.FileRef(f)})
				s.Grant, s.Files[f.ID].Status, s.Files[f.ID].Staged = nil, Staged, &StagedFile{Token: 1}
			}
			if s.LoadLacksFiles() == c.file {
				t.Fatalf("the load lacks files: %v", s.LoadLacksFiles())
			}
			events, err := s.Step(cfg, Input{Time: signalTime.Add(c.tick), Since: signalTime.Add(c.looked)})
			if err != nil {
				t.Fatal(err)
			}
			if !c.ends {
				if len(events) > 0 || s.Load == nil || s.Load.Sealed {
					t.Errorf("it ends with %v", events)
				}
				return
			}
			if c.file { // held for the gap in its numbers: an operator decides
				if _, ok := events[0].(*blotterv1.LoadHeld); !ok {
					t.Errorf("it says %v", events)
				}
				return
			}
			abandoned, ok := events[0].(*blotterv1.LoadAbandoned)
			if !ok || abandoned.GetCause() != c.cause || abandoned.GetGeneration() != 2 || s.Load != nil || change.Status != Granted {
				t.Errorf("it ends with %v, the change file %s", events, change.Status)
			}
		})
	}
}

// TestLoadFilesAfterALoadWasGivenUp open the next one if they are later versions of files
// of the generation in force, or there is none; with new names they are late, and an
// operator takes them in beside those in force.
func TestLoadFilesAfterALoadWasGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		generation uint64
		file       string
		opens      bool
	}{
		"a name of the load in force": {1, "LOAD00000001.csv", true},
		"a new name":                  {1, "LOAD00000001.csv.gz", false},
		"no load in force":            {0, "LOAD00000001.csv.gz", true},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := afterTaskStarted(t, 0)
			s.Generation, s.Load.Base = c.generation, c.generation
			s.Evolve(signalTime, &blotterv1.LoadAbandoned{Generation: c.generation + 1, Cause: abandonedNoFile})
			if c.generation > 0 {
				s.Files["old"] = &File{ID: "old", Kind: dms.KindLoad, Status: Published, Generation: 1,
					Object: dms.Object{Key: "rms/reports/LOAD00000001.csv", LastModified: signalTime}}
			}
			f := rawOf(dms.KindLoad, c.file)
			events := tells(t, s, &blotterv1.FileClassified{File: wire.FileRef(f)})
			if c.opens {
				if opened, ok := events[0].(*blotterv1.LoadOpened); !ok || opened.GetGeneration() != c.generation+1 || s.Load == nil {
					t.Errorf("the load file says %v", events)
				}
				return
			}
			if !s.Files[f.ID].Late || s.Load != nil || s.Pause == nil || s.Pause.Reason != pauseLate {
				t.Fatalf("the load file says %v", events)
			}
			s.Grant = nil
			if _, err := s.Step(DefaultConfig(), Input{Time: signalTime, Command: LoadReopen{Order{ID: "1"}}}); err != nil {
				t.Fatal(err)
			}
			if s.Load == nil || s.Load.Base != 0 || s.Files["old"].Status != Staged || s.Files[f.ID].Late {
				t.Errorf("open again are load %+v, the file in force %+v, the late one %+v", s.Load, s.Files["old"], s.Files[f.ID])
			}
		})
	}
}

// TestLoadCompleteWithoutFile says that the load is given up, not that it is complete.
func TestLoadCompleteWithoutFile(t *testing.T) {
	for name, c := range map[string]struct {
		before func(s *State)
		want   string
	}{
		"none came": {func(*State) {}, "the load of rms.reports is given up: no load file has come; the table stays as it is; change files that go on: 1"},
		"none waits": {func(s *State) { clear(s.Files) },
			"the load of rms.reports is given up: no load file has come; the table stays as it is"},
		"paused": {func(s *State) { s.Pause = &PauseRecord{Reason: pauseOperator} },
			"the load of rms.reports is given up: no load file has come; the table stays as it is; change files that go on once it is resumed: 1"},
		"all skipped": {func(s *State) {
			f := rawOf(dms.KindLoad, "LOAD00000001.csv")
			s.Files[f.ID] = &File{ID: f.ID, Kind: f.Kind, Status: Skipped, Object: f.Object, Order: f.Order}
		}, "the load of rms.reports is given up: all its load files were skipped or refused; the table stays as it is; change files that go on: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := afterTaskStarted(t, 0)
			c.before(s)
			events, err := s.Step(DefaultConfig(), Input{Time: signalTime, Command: LoadComplete{Order: Order{ID: "1"}}})
			if err != nil {
				t.Fatal(err)
			}
			detail, _ := s.AnsweredCommand("1")
			if detail != c.want {
				t.Errorf("it says %q", detail)
			}
			if a, ok := find[*blotterv1.LoadAbandoned](events); !ok || a.GetCause() != "operator" || s.Load != nil {
				t.Errorf("the events are %v", events)
			}
		})
	}
	s, _ := afterTaskStarted(t, 0)
	tells(t, s, &blotterv1.FileClassified{File: wire.FileRef(rawOf(dms.KindLoad, "LOAD00000001.csv"))})
	if _, err := s.Step(DefaultConfig(), Input{Time: signalTime, Command: LoadComplete{Order: Order{ID: "1"}}}); err != nil {
		t.Fatal(err)
	}
	if detail, _ := s.AnsweredCommand("1"); !strings.HasSuffix(detail, "is complete") {
		t.Errorf("with a file it says %q", detail)
	}
}

// find gives the first event of a kind.
func find[E proto.Message](events []proto.Message) (found E, ok bool) {
	for _, e := range events {
		if found, ok = e.(E); ok {
			return found, true
		}
	}
	return found, false
}
