package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/dms"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// reportsID is the table that fill delivers to.
var reportsID = dms.TableID{DB: "rms", Table: "reports"}

func TestReplay(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	for _, state := range []string{"running", "stopped"} {
		t.Run(state, func(t *testing.T) {
			if state == "stopped" {
				s.halt()
			}
			for _, c := range []struct {
				args  []string
				equal int
			}{{[]string{"replay"}, 2}, {[]string{"replay", "rms.reports"}, 1}} {
				if out := s.must(c.args...); strings.Count(out, " equal ") != c.equal {
					t.Errorf("%v does not find %d tables equal:\n%s", c.args, c.equal, out)
				}
			}
			if out, err := s.blotter("replay", "rms.reports", "--until", "1h"); err == nil || !strings.Contains(err.Error(), "holds nothing of table rms.reports") {
				t.Errorf("of an hour ago it says %v\n%s", err, out)
			}
		})
	}
	var tables []replayedTable
	if err := json.Unmarshal([]byte(s.must("replay", "rms.reports", "--seq", "6", "--json")), &tables); err != nil || len(tables) != 1 || tables[0].State.SpecVersion != 1 {
		t.Errorf("as JSON it is %+v, %v", tables, err)
	}
	past := s.must("replay", "rms.reports", "--seq", "6")
	for _, want := range []string{"registration    version 1", "as of event ", "since then has changed:", "file "} {
		if !strings.Contains(past, want) {
			t.Errorf("the past lacks %q:\n%s", want, past)
		}
	}
	for args, want := range map[string]string{
		"replay rms.none":              "the log holds nothing of table rms.none",
		"replay none":                  "expected <db>.<table>",
		"replay --until x":             "--until",
		"replay --until 1h --seq 3":    "--until and --seq say different things",
		"replay rms.reports --limit 0": "--limit",
	} {
		if out, err := s.blotter(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}

// The past shows the gaps that were there then, as the present shows its own: not those
// that a newer load has closed.
func TestReplayTellsTheGapsInForce(t *testing.T) {
	t.Parallel()
	first := time.Date(2024, 3, 4, 8, 0, 0, 0, time.UTC)
	s := lockmanager.NewState(reportsID)
	s.Generation, s.FirstModified = 2, first
	add := func(id dms.FileID, f lockmanager.File, modified time.Duration) {
		f.ID, f.Status, f.Object.Key, f.Object.LastModified = id, lockmanager.Skipped, string(id), first.Add(modified)
		s.Files[id] = &f
	}
	add("load of this generation", lockmanager.File{Kind: dms.KindLoad, Generation: 2}, 0)
	add("load that was replaced", lockmanager.File{Kind: dms.KindLoad, Generation: 1}, -time.Hour)
	add("load given up since", lockmanager.File{Kind: dms.KindLoad, Superseded: true, Abandoned: true}, time.Hour)
	add("load given up before", lockmanager.File{Kind: dms.KindLoad, Superseded: true, Abandoned: true}, -time.Hour)
	add("change of this generation", lockmanager.File{Kind: dms.KindChange}, time.Hour)
	add("change before it", lockmanager.File{Kind: dms.KindChange}, -time.Hour)
	s.LastFailed = &lockmanager.FileEvent{FileID: "change before it"}
	v := viewFolded(t.Context(), s, inDir("d"), 20)
	var gaps []string
	for _, f := range v.Gaps {
		gaps = append(gaps, string(f.ID))
	}
	slices.Sort(gaps)
	if want := []string{"change of this generation", "load given up since", "load of this generation"}; !slices.Equal(gaps, want) {
		t.Errorf("the gaps are %q", gaps)
	}
	if v.failedSince != "skipped" || len(v.History) != 6 {
		t.Errorf("what failed is now %q, the history has %d files", v.failedSince, len(v.History))
	}
	if v := viewFolded(t.Context(), s, inDir("d"), 1); len(v.Gaps) != 1 || len(v.History) != 1 {
		t.Errorf("%d gaps and %d files are listed", len(v.Gaps), len(v.History))
	}
}

// A control store that was written to by other hands is told from the log.
func TestReplayTellsAControlStoreThatWasChanged(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.fill()
	s.halt()
	ctx := t.Context()
	store, err := controlsqlite.Open(ctx, filepath.Join(s.dir, roles.ControlFile))
	if err != nil {
		t.Fatal(err)
	}
	item, err := store.Table(ctx, reportsID)
	if err != nil {
		t.Fatal(err)
	}
	state, err := lockmanager.DecodeState(item.State)
	if err != nil {
		t.Fatal(err)
	}
	state.Rows += 5
	encoded, err := state.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(ctx, control.Change{Table: reportsID, Expect: item.Version, State: encoded}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := s.blotter("replay")
	if err == nil || !strings.Contains(out, "differ") || !strings.Contains(out, "rows: ") || !strings.Contains(out, "version: ") {
		t.Errorf("replay says %v\n%s", err, out)
	}
}
