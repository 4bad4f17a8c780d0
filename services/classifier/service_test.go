package classifier

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var reports = dms.TableID{DB: "rms", Table: "reports"}

// oneSpec is a registration that never changes.
type oneSpec registry.Table

func (s oneSpec) Spec(context.Context, dms.TableID, uint64) (registry.Table, error) {
	return registry.Table(s), nil
}

func spec(t *testing.T) oneSpec {
	t.Helper()
	specs, err := registry.Parse([]byte(`database: rms
source: {prefix: dms/, schema: rms}
tables: [{name: reports, primary_key: [id], columns: {id: int not null}}]
`), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	specs[0].Version = 7
	return oneSpec(specs[0])
}

func arrived(key string) *blotterv1.ObjectArrived {
	o := dms.Object{Bucket: "raw", Key: key, ETag: "1", Size: 1, LastModified: time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)}
	name, _ := dms.ParseName(key, dms.NameRules{Place: dms.Anywhere})
	return &blotterv1.ObjectArrived{FileId: string(dms.NewFileID(o, name.Kind)), Object: wire.Object(o), Source: "event"}
}

// told puts events of ingest-router into a log.
func told(t *testing.T, l *eventlog.Log, messages ...proto.Message) {
	t.Helper()
	for n, m := range messages {
		e := eventlog.Event{
			Table: reports, Service: "ingest-router", Time: time.Now(), Message: m,
			ID: eventlog.ID("ingest-router", reports, "test", string(rune('a'+n))),
		}
		if a, ok := m.(*blotterv1.ObjectArrived); ok {
			e.Correlation = a.GetFileId()
		}
		if _, err := l.PublishOnce(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachObjectIsClassifiedOnce(t *testing.T) {
	url := eventlogtest.Server(t)
	log, _ := eventlogtest.Open(t, url)
	told(t, log,
		arrived("dms/rms/reports/LOAD00000001.csv"),
		arrived("dms/rms/reports/20240304-060000000.csv.gz"),
		arrived("dms/rms/reports/notes.txt"),
		arrived("dms/rms/reports/LOAD00000002.parquet"),
		&blotterv1.ListingCompleted{ListingId: "1", Complete: true},
		&blotterv1.DeliveryRepeated{FileId: "x"}, // says nothing to classify
	)
	for range 2 { // the second process finds all said
		l, _ := eventlogtest.Open(t, url)
		stop := eventlogtest.Run(t, New(Deps{Log: l, Specs: spec(t), Now: time.Now}).Run)
		eventlogtest.Idle(t, log, ServiceName)
		stop()
	}
	// A file of another format than registered is a file all the same: its
	// transform refuses it, and a mended registration takes it in.
	want := []string{"FileClassified", "FileClassified", "FileRejected", "FileClassified", "ListingClassified"}
	filter := eventlog.Filter{Table: reports, Service: ServiceName}
	if got := eventlogtest.Names(t, log, filter); !slices.Equal(got, want) {
		t.Fatalf("the log says %v, expected %v", got, want)
	}
	records := eventlogtest.Read(t, log, filter)
	load, change := records[0].Event.(*blotterv1.FileClassified), records[1].Event.(*blotterv1.FileClassified)
	if load.GetFile().GetKind() != blotterv1.FileKind_FILE_KIND_LOAD || change.GetFile().GetKind() != blotterv1.FileKind_FILE_KIND_CHANGE {
		t.Errorf("kinds %v and %v, expected a load and a change file", load.GetFile().GetKind(), change.GetFile().GetKind())
	}
	if load.GetSpecVersion() != 7 || load.GetFile().GetOrder() == "" || load.GetFile().GetFileId() != records[0].Envelope.GetCorrelation() {
		t.Errorf("the event is not complete: %v", load)
	}
	for _, r := range records[2:3] {
		if e := r.Event.(*blotterv1.FileRejected); e.GetReason() == "" || e.GetDetail() == "" {
			t.Errorf("%s is rejected without a reason", e.GetObject().GetKey())
		}
	}
}

// TestAPartIsAChangeFileOfItsTable, in the place of its transaction file: parts
// come in the order of the files' names, beside the table's own change files.
func TestAPartIsAChangeFileOfItsTable(t *testing.T) {
	part := func(key string) *blotterv1.FileRef {
		whole := arrived(key)
		of := dms.Part{FileID: dms.FileID(whole.GetFileId()), Schema: "RMS", Table: "REPORTS"}
		e := decide(registry.Table(spec(t)), &blotterv1.ObjectArrived{
			FileId: string(of.ID()), Object: whole.GetObject(), Source: "transaction", Part: wire.Part(of),
		})
		f := e.(*blotterv1.FileClassified).GetFile()
		if wire.PartOf(f.GetPart()) != of || f.GetFileId() != string(of.ID()) || f.GetKind() != blotterv1.FileKind_FILE_KIND_CHANGE {
			t.Errorf("the part is classified as %v", f)
		}
		return f
	}
	own := decide(registry.Table(spec(t)), arrived("dms/rms/reports/20240304-060000500.csv")).(*blotterv1.FileClassified).GetFile()
	first, second := part("dms/cdc/CDC_TXN-20240304060000000.csv"), part("dms/cdc/CDC_TXN-20240304060001000.csv.gz")
	if !(first.GetOrder() < own.GetOrder() && own.GetOrder() < second.GetOrder()) {
		t.Errorf("orders %s, %s, %s do not ascend", first.GetOrder(), own.GetOrder(), second.GetOrder())
	}
}

// TestTransactionFilesBelongBelowTheCDCPath and nothing else does.
func TestTransactionFilesBelongBelowTheCDCPath(t *testing.T) {
	table, cdc := registry.Table(spec(t)), "cdc/"
	table.DMS.CDCPath = &cdc
	txn, _ := table.OfTransactions()
	for key, want := range map[string]bool{
		"dms/cdc/CDC_TXN-20240304060000000.csv": true, "dms/cdc/x/CDC_TXN-20240304060000000.csv.gz": true,
		"dms/cdc/LOAD00000001.csv": false, "dms/cdc/CDC_TXN-20240304060000000.parquet": false,
	} {
		e, ok := decide(txn, arrived(key)).(*blotterv1.FileClassified)
		if ok != want || ok && e.GetFile().GetKind() != blotterv1.FileKind_FILE_KIND_TRANSACTION {
			t.Errorf("%s: %v", key, e)
		}
	}
	if e, ok := decide(table, arrived("dms/rms/reports/CDC_TXN-20240304060000000.csv")).(*blotterv1.FileRejected); !ok {
		t.Errorf("a transaction file in a table's folder: %v", e)
	}
}

func TestARegistrationThatMovedRejectsWhatLiesElsewhere(t *testing.T) {
	e := decide(registry.Table(spec(t)), arrived("other/rms/reports/LOAD00000001.csv"))
	rejected, ok := e.(*blotterv1.FileRejected)
	if !ok || rejected.GetReason() != string(dms.ReasonMisplaced) {
		t.Errorf("the answer is %v", e)
	}
}
