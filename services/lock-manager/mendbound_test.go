package lockmanager

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestRefusedMendingsCountForNothing: what was refused is not counted towards the
// bound of a file, whose row of history does not grow with it; what came in is.
func TestRefusedMendingsCountForNothing(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s := NewState(testTable)
	s.SpecVersion = 1
	of := &File{
		ID: "f", Kind: dms.KindChange, Order: "1", Status: Published, Ended: now,
		Staged: &StagedFile{Token: 1, Counts: &blotterv1.RowCounts{}}, Counts: &blotterv1.RowCounts{Rejected: 2 * maxMendings},
	}
	s.Files[of.ID] = of
	asked := 0
	ask := func(rows string) (refused string) {
		asked++
		id := dms.FileID(fmt.Sprintf("m%d", asked))
		f := dms.File{ID: id, Kind: dms.KindChange, Order: dms.MendedOrder(of.Order, id), Object: dms.Object{Key: string(id)},
			Mending: dms.Mending{FileID: of.ID, Kind: of.Kind, Order: of.Order, Token: 1, Rows: dms.RowSet(rows)}}
		var events []proto.Message
		for _, e := range s.decideClassified(wire.FileRef(f)) {
			s.Evolve(now, e)
			events = append(events, e)
		}
		if ignored, ok := events[len(events)-1].(*blotterv1.FileIgnored); ok {
			return ignored.GetDetail()
		}
		return ""
	}
	if why := ask("1"); why != "" {
		t.Fatal(why)
	}
	for range maxMendings + 10 {
		if why := ask("1"); !strings.Contains(why, "mended or dropped already, by m1") {
			t.Fatalf("rows that came in before are refused with %q", why)
		}
	}
	if len(of.Mended) != 1 {
		t.Fatalf("the file names %d mended files", len(of.Mended))
	}
	for row := 2; row <= maxMendings; row++ {
		if why := ask(fmt.Sprint(row)); why != "" {
			t.Fatalf("row %d: %s", row, why)
		}
	}
	if why := ask(fmt.Sprint(maxMendings + 1)); !strings.Contains(why, fmt.Sprintf("brought in %d times", maxMendings)) {
		t.Errorf("beyond the bound it says %q", why)
	}
	if len(of.Mended) != maxMendings {
		t.Errorf("the file names %d mended files", len(of.Mended))
	}
}

// TestRefusedMendingsOfOlderLogs: an event that does not say that refused rows are named
// no more leaves them named, as the control store has it from when it was said.
func TestRefusedMendingsOfOlderLogs(t *testing.T) {
	for name, c := range map[string]struct {
		unlisted bool
		want     []dms.FileID
	}{
		"of an older version": {false, []dms.FileID{"m1"}},
		"of this one":         {true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			s := NewState(testTable)
			s.Files["f"] = &File{ID: "f", Kind: dms.KindChange, Order: "1", Status: Published, Ended: now}
			m := dms.File{ID: "m1", Kind: dms.KindChange, Order: dms.MendedOrder("1", "m1"),
				Mending: dms.Mending{FileID: "f", Kind: dms.KindChange, Order: "1", Token: 1, Rows: "2"}}
			s.Evolve(now, &blotterv1.FileAccepted{File: wire.FileRef(m)})
			s.Evolve(now, &blotterv1.FileIgnored{FileId: "m1", Reason: reasonRefused, Unlisted: c.unlisted})
			if got := s.Files["f"].Mended; !slices.Equal(got, c.want) || s.Files["m1"].Status != Ignored {
				t.Errorf("the file names %v, the mended rows are %s", got, s.Files["m1"].Status)
			}
		})
	}
}
