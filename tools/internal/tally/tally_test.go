package tally_test

import (
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/tally"
)

// TestWhatIsPassedOverIsNoFile: objects that are no data files count apart, so that
// no more files end than arrived.
func TestWhatIsPassedOverIsNoFile(t *testing.T) {
	reports := dms.TableID{DB: "rms", Table: "reports"}
	counts := tally.New()
	counts.Add(reports, &blotterv1.FileAccepted{})
	counts.Add(reports, &blotterv1.FileAccepted{})
	for _, reason := range []dms.Reason{
		dms.ReasonNotDMS, dms.ReasonMisplaced, dms.ReasonMarker, dms.ReasonFolderMarker, dms.ReasonDescription, dms.ReasonControlTable,
	} {
		counts.Add(reports, &blotterv1.FileRejected{Reason: string(reason)})
	}
	counts.Add(reports, &blotterv1.FileIgnored{})
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
	counts.Add(reports, &blotterv1.FileAccepted{})
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
