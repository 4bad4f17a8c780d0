package ingestrouter

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/objects"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// versionedRaw is a raw bucket that keeps versions; the newest is named "".
type versionedRaw struct {
	rawList
	versions map[string]objects.Info // by key, "@" and version id
	fault    error
}

func (r *versionedRaw) version(key, id string) (objects.Info, error) {
	if r.fault != nil {
		return objects.Info{}, r.fault
	}
	info, ok := r.versions[key+"@"+id]
	if !ok {
		return info, objects.ErrNotFound
	}
	return info, nil
}

func (r *versionedRaw) Stat(_ context.Context, key string) (objects.Info, error) {
	return r.version(key, "")
}

func (r *versionedRaw) Open(_ context.Context, key string, v objects.Version) (objects.Reader, error) {
	info, err := r.version(key, v.ID)
	return infoReader{info: info}, err
}

// infoReader tells of an object; nobody reads it.
type infoReader struct {
	objects.Reader
	info objects.Info
}

func (r infoReader) Info() objects.Info { return r.info }
func (infoReader) Close() error         { return nil }

// versioned gives a bench a bucket with two versions of loadKey and one of
// changeKey, which has no versions.
func (b *bench) versioned(s *Service) *versionedRaw {
	at := time.Date(2024, 7, 5, 8, 0, 0, 0, time.UTC)
	older := objects.Info{Key: loadKey, VersionID: "v1", ETag: "old", Size: 10, LastModified: at}
	newer := objects.Info{Key: loadKey, VersionID: "v2", ETag: "new", Size: 20, LastModified: at.Add(time.Hour)}
	plain := objects.Info{Key: changeKey, ETag: "plain", Size: 30, LastModified: at}
	raw := &versionedRaw{versions: map[string]objects.Info{
		loadKey + "@v1": older, loadKey + "@v2": newer, loadKey + "@": newer, changeKey + "@": plain,
	}}
	s.deps.Raw = raw
	return raw
}

func (b *bench) notify(s *Service, data string) Notified {
	b.t.Helper()
	n, err := s.Notify(b.t.Context(), []byte(data))
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestANotificationTellsOfWhatTheBucketHas(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	b.versioned(s)
	// The event claims another size and ETag than the version has.
	event := records(s3Record("ObjectCreated:Put", `{"key":"`+loadKey+`","size":99,"eTag":"other","versionId":"v1"}`),
		s3Record("ObjectCreated:Put", `{"key":"`+changeKey+`","size":99,"eTag":"before"}`))
	n := b.notify(s, event)
	if len(n.Told) != 2 || len(n.Faults) > 0 || n.Told[1].Detail == "" {
		t.Fatalf("%+v", n)
	}
	for i, r := range eventlogtest.Read(t, b.log, eventlog.Filter{Event: "ObjectArrived"}) {
		e := r.Event.(*blotterv1.ObjectArrived)
		o := e.GetObject()
		if want := []int64{10, 30}[i]; o.GetSize() != want || o.GetEtag() != []string{"old", "plain"}[i] ||
			e.GetFileId() != string(n.Told[i].ID) || e.GetSource() != "event" || o.GetLastModified().AsTime().Hour() != 8 {
			t.Errorf("of %s is told %v", n.Told[i].Key, e)
		}
	}
	b.notify(s, ofSQS(event))
	b.says(reports, "ObjectArrived", "ObjectArrived", "DeliveryRepeated", "DeliveryRepeated")
	b.notify(s, eventBridge("Object Deleted", `{"key":"`+loadKey+`","version-id":"v1","sequencer":"0B"}`, `,"deletion-type":"Permanently Deleted"`))
	b.notify(s, records(s3Record("ObjectRemoved:Delete", `{"key":"`+loadKey+`","versionId":"v1","sequencer":"0B"}`)))
	b.says(reports, "ObjectArrived", "ObjectArrived", "DeliveryRepeated", "DeliveryRepeated", "ObjectDeleted")
}

func TestWhatANotificationCannotTellIsNamed(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	raw := b.versioned(s)
	good := s3Record("ObjectCreated:Put", `{"key":"`+changeKey+`"}`)
	for _, c := range []struct {
		name, data, says string
		told             int
	}{
		{"a version that is not there", records(s3Record("ObjectCreated:Put", `{"key":"`+loadKey+`","versionId":"v9"}`), good), loadKey + ": the bucket does not have it in this version", 1},
		{"an object that is not there", records(s3Record("ObjectCreated:Put", `{"key":"dms/x"}`), good), "dms/x: the bucket does not have it", 1},
		{"another bucket", strings.ReplaceAll(records(good), `"name":"raw"`, `"name":"cooked"`), `of bucket "cooked", the raw bucket is "raw"`, 0},
		{"a deletion in another bucket", strings.ReplaceAll(records(s3Record("ObjectRemoved:Delete", `{"key":"a","sequencer":"1"}`)), `"name":"raw"`, `"name":"cooked"`), `of bucket "cooked"`, 0},
		{"no notification", "{}", "neither an event notification of S3", 0},
		{"a bad record", records(s3Record("ObjectCreated:Put", `{"key":"50%"}`), good), "record 1: decode object key", 1},
	} {
		n := b.notify(s, c.data)
		if len(n.Told) != c.told || len(n.Faults) != 1 || !strings.Contains(n.Faults[0], c.says) {
			t.Errorf("%s: %+v, expected %d told and a fault that says %q", c.name, n, c.told, c.says)
		}
	}
	if n := b.notify(s, `{"Event":"s3:TestEvent","Bucket":"raw"}`); len(n.Told) != 1 || n.Told[0].ID != "" || n.Told[0].Detail == "" {
		t.Errorf("the test event: %+v", n)
	}
	raw.fault = errors.New("the network is down")
	if n, err := s.Notify(t.Context(), []byte(records(good))); !errors.Is(err, raw.fault) {
		t.Errorf("%+v, %v: expected the bucket's fault, since it may pass", n, err)
	}
}

func TestNotificationsAreServed(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	b.versioned(s)
	_, nc := eventlogtest.Open(t, b.url)
	eventlogtest.Run(t, func(ctx context.Context) error { return s.Serve(ctx, nc) })
	_, client := eventlogtest.Open(t, b.url)
	var n Notified
	eventlogtest.Eventually(t, "an answer", func() bool {
		msg, err := client.Request(NotifySubject, []byte(records(s3Record("ObjectCreated:Put", `{"key":"`+changeKey+`"}`))), time.Second)
		return err == nil && json.Unmarshal(msg.Data, &n) == nil
	})
	if len(n.Told) != 1 || n.Told[0].ID == "" {
		t.Errorf("the answer is %+v", n)
	}
	msg, err := client.Request(NotifySubject, []byte("{"), time.Second)
	if err != nil || !strings.Contains(msg.Header.Get("Nats-Service-Error"), "no JSON") {
		t.Errorf("no JSON is answered with %v (%v)", msg, err)
	}
	b.says(reports, "ObjectArrived")
}
