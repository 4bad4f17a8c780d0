package ingestrouter

import (
	"errors"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const (
	txnRegistration = `database: rms
source: {prefix: dms/, schema: rms}
dms: {cdc_path: cdc}
tables:
  - {name: reports, primary_key: [id], columns: {id: int not null}}
  - {name: persons, path: RMS/PERSON/, primary_key: [id], columns: {id: int not null}}
`
	txnKey = "dms/cdc/CDC_TXN-20240304060000000.csv"
)

var (
	persons      = dms.TableID{DB: "rms", Table: "persons"}
	transactions = dms.TableID{DB: "rms", Table: dms.TransactionTable}
)

// registerTxn registers some of the tables of txnRegistration, and the
// pseudo-table of its transaction files.
func (b *bench) registerTxn(names ...string) {
	b.t.Helper()
	specs, err := registry.Parse([]byte(txnRegistration), "tables.yaml")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, spec := range specs {
		for _, name := range names {
			if name == dms.TransactionTable && spec.ID == reports {
				txn, _ := spec.OfTransactions()
				b.registerSpec(txn)
			}
			if name == spec.ID.Table {
				b.registerSpec(spec)
			}
		}
	}
}

// splitOf is what lock-manager says of the transaction file, with rows of the
// tables named "<schema> <table>".
func splitOf(tables ...[2]string) *blotterv1.TransactionSplit {
	o := object(txnKey)
	f := dms.File{ID: dms.NewFileID(o, dms.KindTransaction), Object: o, Kind: dms.KindTransaction, Order: "T"}
	e := &blotterv1.TransactionSplit{File: wire.FileRef(f)}
	for _, name := range tables {
		part := dms.Part{FileID: f.ID, Schema: name[0], Table: name[1]}
		e.Parts = append(e.Parts, &blotterv1.TransactionPart{FileId: string(part.ID()), Schema: part.Schema, Table: part.Table, Rows: 1})
	}
	return e
}

var wholeSplit = splitOf([2]string{"rms", "reports"}, [2]string{"rms", "awsdms_status"}, [2]string{"RMS", "PERSON"}, [2]string{"hr", "reports"})

// hears hands the service a split, as its consumer does.
func (b *bench) hears(s *Service, e *blotterv1.TransactionSplit) error {
	return s.handle(b.t.Context(), eventlog.Record{Table: transactions, Service: "lock-manager", Event: e})
}

// splitFile takes the transaction file in, then its parts.
func (b *bench) splitFile(s *Service, e *blotterv1.TransactionSplit) {
	b.t.Helper()
	b.offer(s, txnKey, FromListing)
	if err := b.hears(s, e); err != nil {
		b.t.Fatal(err)
	}
}

func TestPartsArriveAtTheirTables(t *testing.T) {
	b := newBench(t)
	b.registerTxn("reports", "persons", dms.TransactionTable)
	s := b.started()
	b.splitFile(s, wholeSplit)
	for range 2 { // told again, by another process as well
		if err := errors.Join(b.hears(s, wholeSplit), b.hears(b.started(), wholeSplit)); err != nil {
			t.Fatal(err)
		}
	}
	b.says(transactions, "ObjectArrived")
	b.says(reports, "ObjectArrived")
	b.says(persons, "ObjectArrived")
	b.says(dms.RawTable, "ObjectIgnored", "ObjectHeld")
	arrived := eventlogtest.Read(t, b.log, eventlog.Filter{Table: persons})[0]
	e := arrived.Event.(*blotterv1.ObjectArrived)
	want := dms.Part{FileID: dms.FileID(wholeSplit.GetFile().GetFileId()), Schema: "RMS", Table: "PERSON"}
	if wire.PartOf(e.GetPart()) != want || e.GetFileId() != string(want.ID()) || arrived.Envelope.GetCorrelation() != e.GetFileId() ||
		e.GetSource() != "transaction" || e.GetObject().GetKey() != txnKey {
		t.Errorf("the part arrives as %v", e)
	}
	others := eventlogtest.Read(t, b.log, eventlog.Filter{Table: dms.RawTable})
	if e := others[0].Event.(*blotterv1.ObjectIgnored); e.GetReason() != "control_table" || e.GetPart().GetTable() != "awsdms_status" {
		t.Errorf("the rows of a control table are ignored as %v", e)
	}
	if e := others[1].Event.(*blotterv1.ObjectHeld); e.GetReason() != "unregistered" || e.GetPart().GetSchema() != "hr" {
		t.Errorf("the rows of an unregistered table are held as %v", e)
	}
}

// TestACrashLeavesNoPartBehind: wherever the telling of parts breaks off, the
// split comes again, or the next process takes up what is pending; each is told
// once.
func TestACrashLeavesNoPartBehind(t *testing.T) {
	crash := errors.New("crash")
	for _, step := range []string{"put pending", "publish", "put told", "put held"} {
		for nth := 1; nth <= 3; nth++ {
			b := newBench(t)
			b.registerTxn("reports", "persons", dms.TransactionTable)
			s := b.started()
			b.offer(s, txnKey, FromListing)
			left := nth
			b.fail = func(at string) error {
				if at == step {
					if left--; left == 0 {
						return crash
					}
				}
				return nil
			}
			err := b.hears(s, wholeSplit)
			if want := step != "put held" || nth == 1; errors.Is(err, crash) != want {
				t.Fatalf("%s %d: handling gives %v", step, nth, err)
			}
			b.fail = func(string) error { return nil }
			if err := b.hears(b.started(), wholeSplit); err != nil {
				t.Fatal(err)
			}
			b.says(reports, "ObjectArrived")
			b.says(persons, "ObjectArrived")
			b.says(dms.RawTable, "ObjectIgnored", "ObjectHeld")
		}
	}
}

// TestHeldPartsArriveOnceTheirTableIsRegistered, and in the order of their files.
func TestHeldPartsArriveOnceTheirTableIsRegistered(t *testing.T) {
	b := newBench(t)
	b.registerTxn("reports", dms.TransactionTable)
	s := b.started()
	eventlogtest.Run(t, s.Run)
	b.splitFile(s, splitOf([2]string{"RMS", "PERSON"}, [2]string{"rms", "reports"}))
	b.says(dms.RawTable, "ObjectHeld")
	b.registerTxn("persons")
	_, err := b.log.PublishOnce(t.Context(), eventlog.Event{
		Table: persons, Service: "lock-manager", ID: "registered", Time: time.Now(), Message: &blotterv1.TableRegistered{SpecVersion: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventlogtest.Idle(t, b.log, ServiceName)
	b.says(persons, "ObjectArrived")
	b.says(dms.RawTable, "ObjectHeld")
	e := eventlogtest.Read(t, b.log, eventlog.Filter{Table: persons, Service: ServiceName})[0].Event.(*blotterv1.ObjectArrived)
	if e.GetPart().GetTable() != "PERSON" || e.GetFileId() != string(wire.PartOf(e.GetPart()).ID()) {
		t.Errorf("the held part arrives as %v", e)
	}
	held, err := b.store.ObjectsIn(t.Context(), control.ObjectHeld, 10)
	if err != nil || len(held) > 0 {
		t.Errorf("%d parts are held still (%v)", len(held), err)
	}
}

// TestAReplicaThatDidNotHearOfATable: only one of several is told of a
// registration; a part is held by none of the others.
func TestAReplicaThatDidNotHearOfATable(t *testing.T) {
	b := newBench(t)
	b.registerTxn("reports", dms.TransactionTable)
	s := b.started()
	b.registerTxn("persons")
	b.splitFile(s, wholeSplit)
	b.says(persons, "ObjectArrived")
}

// TestATableThatIsRegisteredMeanwhile: after it was decided to hold the part, and
// whoever heard of the registration has looked for held ones before it was one,
// or at the same time.
func TestATableThatIsRegisteredMeanwhile(t *testing.T) {
	for _, step := range []string{"put pending", "publish", "put held"} {
		b := newBench(t)
		b.registerTxn("reports", dms.TransactionTable)
		s := b.started()
		b.offer(s, txnKey, FromListing)
		registered := false
		b.fail = func(at string) error {
			if at == step && !registered {
				registered = true
				b.registerTxn("persons")
				b.started()
			}
			return nil
		}
		if err := b.hears(s, splitOf([2]string{"RMS", "PERSON"})); err != nil {
			t.Fatal(err)
		}
		b.says(dms.RawTable, "ObjectHeld")
		b.says(persons, "ObjectArrived")
	}
}
