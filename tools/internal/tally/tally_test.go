package tally_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/tally"
)

func accepted(id string) *blotterv1.FileAccepted {
	return &blotterv1.FileAccepted{File: &blotterv1.FileRef{FileId: id}}
}

// TestWhatEarlierRunsLeft: files that were on their way when the run began count as
// arrived, those that had ended do not, also if a replacement takes their rows in again.
func TestWhatEarlierRunsLeft(t *testing.T) {
	reports := dms.TableID{DB: "rms", Table: "reports"}
	state := lockmanager.NewState(reports)
	state.Rows, state.Load, state.Pause = 7, &lockmanager.Load{}, &lockmanager.PauseRecord{Reason: "operator"}
	for id, status := range map[dms.FileID]lockmanager.Status{
		"waits": lockmanager.Waiting, "staged": lockmanager.Staged, "bad": lockmanager.Quarantined, "published": lockmanager.Published,
	} {
		state.Files[id] = &lockmanager.File{ID: id, Status: status}
	}
	counts := tally.New()
	counts.Begin(state)
	begun := tally.Table{Table: reports, Arrived: 3, Staged: 1, Rows: 7, Phase: "loading", Paused: "by an operator"}
	if got := counts.Tables()[0]; got != begun {
		t.Errorf("begun with %+v, expected %+v", got, begun)
	}
	counts.Add(reports, accepted("waits")) // it was decided, and not said yet
	counts.Add(reports, &blotterv1.FileSkipped{FileId: "bad"})
	counts.Add(reports, &blotterv1.FilesPublished{TableRows: 9, Files: []*blotterv1.PublishedFile{
		{FileId: "waits", Counts: &blotterv1.RowCounts{RowsRead: 2}}, {FileId: "published", Counts: &blotterv1.RowCounts{RowsRead: 40}},
	}})
	if got := counts.Tables()[0]; got.Arrived != 3 || got.TakenIn() != 1 || got.Ended() != 2 || got.RowsIn != 2 || got.Rows != 9 {
		t.Errorf("then counted %+v", got)
	}
}

// TestAFileIsTakenInAfterAll: one that was skipped ends once, as what it comes to in the
// end, whether it was skipped while the tally was fed or before; one that is read anew
// for another reason ended before.
func TestAFileIsTakenInAfterAll(t *testing.T) {
	reports := dms.TableID{DB: "rms", Table: "reports"}
	published := func(id string) *blotterv1.FilesPublished {
		return &blotterv1.FilesPublished{Files: []*blotterv1.PublishedFile{{FileId: id, Counts: &blotterv1.RowCounts{RowsRead: 2}}}}
	}
	counts := tally.New()
	counts.Add(reports, accepted("a"))
	counts.Add(reports, accepted("folded"))
	counts.Add(reports, published("folded"))
	counts.Add(reports, &blotterv1.FileSkipped{FileId: "a"})
	for _, id := range []string{"a", "before", "folded"} {
		counts.Add(reports, &blotterv1.FileRetried{FileId: id})
	}
	if got := counts.Tables()[0]; got.Arrived != 3 || got.Skipped != 0 || got.Ended() != 1 {
		t.Errorf("on their way again: %+v", got)
	}
	for _, id := range []string{"a", "before", "folded"} {
		counts.Add(reports, published(id))
	}
	if got := counts.Tables()[0]; got.Arrived != 3 || got.Skipped != 0 || got.TakenIn() != 3 || got.RowsIn != 6 {
		t.Errorf("then counted %+v", got)
	}
}

// TestALoadThatIsHeld: it is told of until somebody has confirmed it, or it is another one.
func TestALoadThatIsHeld(t *testing.T) {
	reports := dms.TableID{DB: "rms", Table: "reports"}
	state := lockmanager.NewState(reports)
	state.Load = &lockmanager.Load{HeldReason: "gap", HeldDetail: "file 2 is missing"}
	counts := tally.New()
	counts.Begin(state)
	held := func() string { return counts.Tables()[0].LoadHeld }
	if held() != "file 2 is missing" {
		t.Errorf("begun with %q", held())
	}
	load := accepted("second")
	load.File.Kind = blotterv1.FileKind_FILE_KIND_LOAD
	counts.Add(reports, load)
	if held() != "" {
		t.Errorf("with another file it is held for %q", held())
	}
	shrunk := &blotterv1.LoadHeld{Reason: "shrunk", Detail: "less than half"}
	for name, end := range map[string]proto.Message{
		"confirmed": &blotterv1.LoadConfirmed{}, "sealed": &blotterv1.LoadSealed{}, "given up": &blotterv1.LoadAbandoned{},
		"open again": &blotterv1.LoadReopened{}, "published": &blotterv1.FilesPublished{Strategy: "replace"},
	} {
		if counts.Add(reports, shrunk); held() != "less than half" {
			t.Errorf("it is held for %q", held())
		}
		if counts.Add(reports, end); held() != "" {
			t.Errorf("%s it is held for %q", name, held())
		}
	}
	counts.Add(reports, &blotterv1.LoadSealed{})
	counts.Add(reports, shrunk)
	if counts.Add(reports, load); held() == "" {
		t.Error("a file of the load after a sealed one lets that go on")
	}
}

// TestWhatIsPassedOverIsNoFile: objects that are no data files count apart, so that
// no more files end than arrived.
func TestWhatIsPassedOverIsNoFile(t *testing.T) {
	reports := dms.TableID{DB: "rms", Table: "reports"}
	counts := tally.New()
	counts.Add(reports, accepted("a"))
	counts.Add(reports, accepted("b"))
	for _, reason := range []dms.Reason{
		dms.ReasonNotDMS, dms.ReasonMisplaced, dms.ReasonMarker, dms.ReasonFolderMarker, dms.ReasonDescription, dms.ReasonControlTable,
	} {
		counts.Add(reports, &blotterv1.FileRejected{Reason: string(reason)})
	}
	counts.Add(reports, &blotterv1.FileIgnored{FileId: "a"})
	got := counts.Tables()
	if len(got) != 1 || got[0].Arrived != 2 || got[0].Ended() != 1 || got[0].Unnamed != 2 {
		t.Errorf("counted %+v", got)
	}
}

// TestAFileEndsOnce: a file that was skipped, and then replaced by a load, does not
// end twice; nor is one that is staged again read twice.
func TestAFileEndsOnce(t *testing.T) {
	reports := dms.TableID{DB: "rms", Table: "reports"}
	counts := tally.New()
	counts.Add(reports, &blotterv1.LoadOpened{})
	counts.Add(reports, accepted("a"))
	for range 2 {
		counts.Add(reports, &blotterv1.FileStaged{Staged: &blotterv1.StagedFile{FileId: "a"}})
	}
	counts.Add(reports, &blotterv1.FileSkipped{FileId: "a"})
	counts.Add(reports, &blotterv1.FileIgnored{FileId: "a", Reason: "superseded"})
	if got := counts.Tables()[0]; got.Arrived != 1 || got.Ended() != 1 || got.Staged != 1 {
		t.Errorf("counted %+v", got)
	}
	counts.Add(reports, &blotterv1.LoadOpened{})
	if got := counts.Tables()[0]; got.Staged != 0 {
		t.Errorf("another load begins with %d files read", got.Staged)
	}
}
