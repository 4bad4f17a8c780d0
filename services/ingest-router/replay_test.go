package ingestrouter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const feesRegistration = `database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true}
on_bad_row: quarantine
tables: [{name: fees, primary_key: [id], columns: {id: bigint not null, amount: "numeric(8, 2)"}}]
`

var fees = dms.TableID{DB: "rms", Table: "fees"}

// mendBench is a bench with the rejected rows 3 and 5 of one file in its failed
// bucket.
type mendBench struct {
	*bench
	header transform.RejectedHeader
	folder string
}

func newMendBench(t *testing.T) *mendBench {
	t.Helper()
	b := &mendBench{bench: newBench(t)}
	specs, err := registry.Parse([]byte(feesRegistration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b.registerSpec(specs[0])
	spec, err := control.NewSpecs(b.store).Spec(t.Context(), fees, 1)
	if err != nil {
		t.Fatal(err)
	}
	buckets := map[string]objects.Bucket{}
	for _, name := range []string{"raw", "staging", "failed"} {
		if buckets[name], err = local.New(name, t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	b.failed = buckets["failed"]
	key := "dms/rms/fees/20240705-080200000.csv"
	info := b.put(buckets["raw"], key, "Op,id,amount\nI,1,10.00\nI,2,twelve\nU,1,11.00\nI,3,\nI,4,secret\n")
	o := dms.Object{Bucket: "raw", Key: key, ETag: info.ETag, Size: info.Size, LastModified: time.Date(2024, 7, 5, 8, 2, 0, 0, time.UTC)}
	id := dms.NewFileID(o, dms.KindChange)
	name, _ := dms.ParseName(path.Base(key), dms.NameRules{Place: dms.InTable})
	file := dms.File{ID: id, Object: o, Kind: dms.KindChange, Order: dms.NewFileOrder(name, o.LastModified, id)}
	result, err := transform.Run(t.Context(), transform.DefaultConfig(), transform.Deps{Raw: buckets["raw"], Staging: buckets["staging"]},
		transform.Job{Table: spec, File: file, Token: 7})
	if err != nil || result.Manifest.Counts.Rejected != 2 {
		t.Fatalf("%v, %+v", err, result)
	}
	b.folder = fmt.Sprintf("rms/fees/%s/rejected-7/", id)
	staged := result.Manifest.Rejected[0].Key
	if _, err := b.failed.Copy(t.Context(), buckets["staging"], staged, objects.Version{}, b.folder+path.Base(staged)); err != nil {
		t.Fatal(err)
	}
	rejected, err := transform.OpenRejected(t.Context(), buckets["staging"], staged)
	if err != nil {
		t.Fatal(err)
	}
	b.header = rejected.Header
	if err := rejected.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) put(bucket objects.Bucket, key, content string) objects.Info {
	b.t.Helper()
	w, err := bucket.Create(b.t.Context(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		b.t.Fatal(err)
	}
	info, err := w.Commit(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return info
}

// mend writes a mended file and gives its key. A row is "NUMBER=FIELD,FIELD…", or
// "NUMBER" if it is dropped.
func (b *mendBench) mend(name string, h transform.RejectedHeader, rows ...string) string {
	b.t.Helper()
	var content bytes.Buffer
	w, err := transform.NewMendedWriter(&content, h)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, text := range rows {
		number, fields, mended := strings.Cut(text, "=")
		row := transform.MendedRow{Drop: !mended}
		if _, err := fmt.Sscan(number, &row.Row); err != nil {
			b.t.Fatal(err)
		}
		if mended {
			for field := range strings.SplitSeq(fields, ",") {
				row.Fields = append(row.Fields, &field)
			}
		}
		if err := w.Write(row); err != nil {
			b.t.Fatal(err)
		}
	}
	b.put(b.failed, b.folder+name, content.String())
	return b.folder + name
}

func (b *mendBench) request(key string) ReplayRequest {
	return ReplayRequest{Actor: "operator:ada", Reason: "letters", Table: fees.String(), Key: key}
}

func (b *mendBench) replay(s *Service, key string) Replayed {
	b.t.Helper()
	answer, err := s.Replay(b.t.Context(), b.request(key))
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func TestMendedRowsArriveOnce(t *testing.T) {
	b := newMendBench(t)
	key := b.mend("mended-1.jsonl", b.header, "3=I,2,12.00", "6")
	s := b.started()
	said := b.replay(s, key)
	if said.Refused != "" || said.Again || said.Rows != "3" || said.Dropped != "6" {
		t.Fatalf("the answer is %+v", said)
	}
	for _, other := range []*Service{s, b.started()} {
		if again := b.replay(other, key); !again.Again || again.FileID != said.FileID {
			t.Errorf("asked for again, the answer is %+v", again)
		}
	}
	b.says(fees, "ObjectArrived")
	r := eventlogtest.Read(t, b.log, eventlog.Filter{Table: fees})[0]
	e := r.Event.(*blotterv1.ObjectArrived)
	want := b.header.Mending()
	want.Rows, want.Dropped = "3", "6"
	if wire.MendingOf(e.GetMending()) != want || e.GetReason() != "letters" || e.GetSource() != "replay" || e.GetObject().GetKey() != key ||
		r.Envelope.GetActor() != "operator:ada" || r.Envelope.GetCorrelation() != string(said.FileID) {
		t.Errorf("the mended rows arrive as %v, said by %s", e, r.Envelope.GetActor())
	}
	b.mend("mended-2.jsonl", b.header, "3=I,2,13.00") // mended in another way: lock-manager decides
	if other := b.replay(s, b.folder+"mended-2.jsonl"); other.Again || other.FileID == said.FileID {
		t.Errorf("another mended file is answered with %+v", other)
	}
}

// TestACrashLeavesNoMendedFileBehind: wherever bringing it in breaks off, the next
// process, or whoever asks again, says it, and says it once.
func TestACrashLeavesNoMendedFileBehind(t *testing.T) {
	crash := errors.New("crash")
	for _, step := range []string{"put pending", "publish", "put told"} {
		for _, starts := range []bool{true, false} {
			t.Run(fmt.Sprint(step, starts), func(t *testing.T) {
				b := newMendBench(t)
				key := b.mend("mended-1.jsonl", b.header, "3=I,2,12.00")
				b.fail = func(at string) error {
					if at == step {
						return crash
					}
					return nil
				}
				if _, err := b.started().Replay(t.Context(), b.request(key)); !errors.Is(err, crash) {
					t.Fatalf("Replay gives %v", err)
				}
				b.fail = func(string) error { return nil }
				next := b.service()
				if starts {
					next = b.started()
				}
				if again := b.replay(next, key); again.Refused != "" || again.Again != (step != "put pending") {
					t.Errorf("asked for again, the answer is %+v", again)
				}
				b.says(fees, "ObjectArrived")
				pending, err := b.store.ObjectsIn(t.Context(), control.ObjectPending, 10)
				if err != nil || len(pending) > 0 {
					t.Errorf("%d rows are pending (%v)", len(pending), err)
				}
			})
		}
	}
}

func TestMendedRowsThatAreRefused(t *testing.T) {
	b := newMendBench(t)
	other, another := b.header, b.header
	other.Table.Table = "others"
	another.Order += "x"
	s := b.started()
	for name, c := range map[string]struct {
		key, why string
		change   func(*ReplayRequest)
	}{
		"bad again":          {key: b.mend("a", b.header, "3=I,2,hidden", "6=I,4,4.00"), why: "refused whole"},
		"not set aside":      {key: b.mend("b", b.header, "2=I,2,1.00", "3=I,2,2.00", "4=I,1,1.00", "6"), why: "rows 2,4 of the file were not set aside"},
		"other columns":      {key: b.mend("c", b.header, "3=I,2"), why: "refused whole"},
		"no rows":            {key: b.mend("d", b.header), why: "no rows are named"},
		"of another table":   {key: b.mend("e", other, "3=I,2,1.00"), why: "rms.others"},
		"of another file":    {key: b.mend("f", another, "3=I,2,1.00"), why: "another file"},
		"no file":            {key: b.folder + "nothing", why: "there is no mended file"},
		"no mended file":     {key: b.folder + "rejected-00001.parquet", why: "its first line names no file"},
		"an unknown table":   {key: b.mend("g", b.header, "3=I,2,1.00"), why: "not registered", change: func(r *ReplayRequest) { r.Table = "rms.nothing" }},
		"no table":           {key: b.folder + "g", why: "nothing", change: func(r *ReplayRequest) { r.Table = "nothing" }},
		"dropped, no reason": {key: b.mend("h", b.header, "3"), why: "no reason", change: func(r *ReplayRequest) { r.Reason = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.request(c.key)
			if c.change != nil {
				c.change(&r)
			}
			answer, err := s.Replay(t.Context(), r)
			if err != nil || !strings.Contains(answer.Refused, c.why) {
				t.Errorf("the answer is %+v (%v), expected %q", answer, err, c.why)
			}
			if name == "bad again" && (len(answer.Faults) != 1 || answer.Faults[0].Row != 3 || answer.Faults[0].Column != "amount" || answer.Faults[0].Code != "value.decimal") {
				t.Errorf("the faults are %+v", answer.Faults)
			}
			if text := fmt.Sprintf("%+v", answer); strings.Contains(text, "hidden") {
				t.Errorf("the answer shows a value: %s", text)
			}
		})
	}
	b.says(fees)
}

func TestMendedRowsAreServed(t *testing.T) {
	b := newMendBench(t)
	key := b.mend("mended-1.jsonl", b.header, "3=I,2,12.00")
	s := b.started()
	_, nc := eventlogtest.Open(t, b.url)
	eventlogtest.Run(t, func(ctx context.Context) error { return s.Serve(ctx, nc) })
	_, client := eventlogtest.Open(t, b.url)
	body, err := json.Marshal(b.request(key))
	if err != nil {
		t.Fatal(err)
	}
	var answer Replayed
	eventlogtest.Eventually(t, "an answer", func() bool {
		msg, err := client.Request(ReplaySubject, body, time.Second)
		return err == nil && json.Unmarshal(msg.Data, &answer) == nil
	})
	if answer.Rows != "3" && !answer.Again {
		t.Errorf("the answer is %+v", answer)
	}
	msg, err := client.Request(ReplaySubject, []byte(`{"table":"rms.fees"}`), time.Second)
	if err != nil || msg.Header.Get("Nats-Service-Error") == "" {
		t.Errorf("a request without a file is answered with %v (%v)", msg, err)
	}
	b.says(fees, "ObjectArrived")
}

// TestMendedRowsAreReadAsTheirTransformWill: by the limits that are configured.
func TestMendedRowsAreReadAsTheirTransformWill(t *testing.T) {
	b := newMendBench(t)
	key := b.mend("long", b.header, "3=I,2,"+strings.Repeat("0", 100)+"1.00")
	s := b.started()
	s.deps.Transform.MaxFieldBytes = 64
	answer, err := s.Replay(t.Context(), b.request(key))
	if err != nil || len(answer.Faults) != 1 || answer.Faults[0].Code != "csv.field_size" {
		t.Errorf("a field beyond the limit: the answer is %+v (%v)", answer, err)
	}
	s.deps.Transform.MaxFieldBytes = 128
	if answer, err := s.Replay(t.Context(), b.request(key)); err != nil || answer.Refused != "" {
		t.Errorf("a field within the limit: the answer is %+v (%v)", answer, err)
	}
}
