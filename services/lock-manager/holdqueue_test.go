package lockmanager

import (
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestHoldQueueIsRebuilt: files were lost from the queue and others stand in it;
// the command makes it what the state says, and says nothing in the log.
func TestHoldQueueIsRebuilt(t *testing.T) {
	b := newShellBench(t)
	s, _, _ := b.process()
	request := CommandRequest{ID: "1", Actor: "operator:test", Table: testTable.String()}
	if reply := b.execute(s, "hold-rebuild", request); !strings.Contains(reply.Refused, "no table") {
		t.Errorf("a table that is not there: %+v", reply)
	}
	b.execute(s, "apply", applyRequest(t, "1"))
	b.execute(s, "pause", CommandRequest{ID: "2", Actor: "operator:test", Table: testTable.String()})
	for _, name := range []string{"20240304-060000000.csv", "20240304-060100000.csv", "20240304-060200000.csv"} {
		if err := s.handle(t.Context(), eventlog.Record{
			Table: testTable, Service: "classifier", Envelope: &blotterv1.Envelope{Id: name}, Event: b.classified(name),
		}); err != nil {
			t.Fatal(err)
		}
	}
	want, err := b.hold.Held(t.Context(), testTable, 10)
	if err != nil || len(want) != 3 {
		t.Fatalf("held %v, %v", want, err)
	}
	before := b.counts()
	if err := b.hold.Release(t.Context(), testTable, want[1].FileID); err != nil {
		t.Fatal(err)
	}
	if err := b.hold.Hold(t.Context(), testTable, holdqueue.Item{FileID: "ff", Order: "0"}); err != nil {
		t.Fatal(err)
	}
	for _, detail := range []string{"missing in its hold queue were 1, not belonging there 1", "missing in its hold queue were 0, not belonging there 0"} {
		request.ID += "1"
		if reply := b.execute(s, "hold-rebuild", request); !strings.Contains(reply.Detail, detail) || !strings.HasPrefix(reply.Detail, "3 files") {
			t.Errorf("the answer is %+v", reply)
		}
		got, err := b.hold.Held(t.Context(), testTable, 10)
		if err != nil || len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("held %v, %v, want %v", got, err, want)
		}
	}
	if after := b.counts(); len(after) != len(before) || after["FileHeld"] != before["FileHeld"] {
		t.Errorf("the log said %v and now says %v", before, after)
	}
}
