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
