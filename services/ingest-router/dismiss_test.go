package ingestrouter

import (
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestDismissedObjectsStayIgnored, whoever is registered later; what is not named
// stays held, and a request that names nothing is refused.
func TestDismissedObjectsStayIgnored(t *testing.T) {
	b := newBench(t)
	b.registerTxn("reports", dms.TransactionTable)
	s := b.started()
	b.offer(s, "dms/rms/scratch/LOAD00000001.csv", FromEvent)
	b.offer(s, "dms/rms/scratch/20240304-060000000.csv", FromEvent)
	b.offer(s, "dms/rms/scratches/LOAD00000001.csv", FromEvent)
	b.splitFile(s, splitOf([2]string{"rms", "persons"}, [2]string{"rms", "others"}))
	for _, tt := range []struct {
		objects, reason string
		want            int64
		refused         bool
	}{
		{"dms/rms/scratch/", "", 0, true},
		{"", "a test", 0, true},
		{"dms/rms/scratch", "a test", 0, true},
		{"dms/rms/scratch/", "a test", 2, false},
		{"dms/rms/scratch/", "a test", 0, true},
		{"rms.persons", "nobody asks", 1, false},
	} {
		got, err := s.Dismiss(t.Context(), DismissRequest{Actor: "operator:me", Reason: tt.reason, Objects: tt.objects})
		if err != nil || got.Objects != tt.want || (got.Refused != "") != tt.refused {
			t.Errorf("%q %q: %+v, %v", tt.objects, tt.reason, got, err)
		}
	}
	held, err := b.store.ObjectsIn(t.Context(), control.ObjectHeld, 10)
	if err != nil || len(held) != 2 {
		t.Errorf("%d objects are held still (%v)", len(held), err)
	}
	var last *blotterv1.ObjectIgnored
	var actor string
	for _, r := range eventlogtest.Read(t, b.log, eventlog.Filter{Table: dms.RawTable, Service: ServiceName}) {
		if e, ok := r.Event.(*blotterv1.ObjectIgnored); ok {
			last, actor = e, r.Envelope.GetActor()
		}
	}
	if last.GetReason() != reasonDismissed || last.GetDetail() != "nobody asks" || last.GetPart().GetTable() != "persons" || actor != "operator:me" {
		t.Errorf("the log says %v by %s", last, actor)
	}
	b.registerTxn("persons")
	if err := b.started().Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.says(persons)
}
