package ingestrouter

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The forms of AWS, as its guides describe them; the tests fill in what matters.

func s3Record(event, object string) string {
	return fmt.Sprintf(`{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2024-07-05T08:01:00.250Z",
		"eventName":%q,"userIdentity":{"principalId":"AWS:AIDAX:dms"},"s3":{"s3SchemaVersion":"1.0","configurationId":"raw",
		"bucket":{"name":"raw","arn":"arn:aws:s3:::raw"},"object":%s}}`, event, object)
}

func eventBridge(detailType, object, more string) string {
	return fmt.Sprintf(`{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":%q,"source":"aws.s3",
		"account":"111122223333","time":"2024-07-05T08:01:00Z","region":"eu-west-1","resources":["arn:aws:s3:::raw"],
		"detail":{"version":"0","bucket":{"name":"raw"},"object":%s,"request-id":"Q","requester":"111122223333"%s}}`, detailType, object, more)
}

func records(list ...string) string { return `{"Records":[` + strings.Join(list, ",") + `]}` }

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func ofSQS(body string) string {
	return records(`{"messageId":"1","receiptHandle":"r","body":` + quoted(body) + `,"attributes":{"ApproximateReceiveCount":"2"},
		"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:111122223333:raw","awsRegion":"eu-west-1"}`)
}

func ofSNS(message string) string {
	return records(`{"EventVersion":"1.0","EventSource":"aws:sns","Sns":{"Type":"Notification","Message":` + quoted(message) + `}}`)
}

func envelopeOfSNS(message string) string {
	return `{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:eu-west-1:111122223333:raw","Message":` + quoted(message) + `}`
}

func TestParseNotification(t *testing.T) {
	at, atMillis := time.Date(2024, 7, 5, 8, 1, 0, 0, time.UTC), time.Date(2024, 7, 5, 8, 1, 0, 250e6, time.UTC)
	s3 := s3Record("ObjectCreated:Put", `{"key":"dms/rms/case+notes%2B1/50%25+%26+%C3%B1/LOAD00000001.csv","size":7,"eTag":"e1","versionId":"v1","sequencer":"0A"}`)
	ofS3 := Notice{Event: NoticeCreated, Name: "ObjectCreated:Put", Bucket: "raw", Key: "dms/rms/case notes+1/50% & ñ/LOAD00000001.csv", VersionID: "v1", ETag: "e1", Sequencer: "0A", Time: atMillis}
	created := eventBridge("Object Created", `{"key":"dms/rms/case notes+1/50%25 & ñ/LOAD00000001.csv","size":7,"etag":"e1-3","version-id":"v1","sequencer":"0A"}`, `,"reason":"CompleteMultipartUpload"`)
	ofBridge := Notice{Event: NoticeCreated, Name: "Object Created", Bucket: "raw", Key: "dms/rms/case notes+1/50%25 & ñ/LOAD00000001.csv", VersionID: "v1", ETag: "e1-3", Sequencer: "0A", Time: at}
	gone := func(name string, change func(*Notice)) Notice {
		n := Notice{Event: NoticeDeleted, Name: name, Bucket: "raw", Key: "a/LOAD1.csv", Sequencer: "0B", Time: at}
		change(&n)
		return n
	}
	for _, c := range []struct {
		name, data string
		want       []Notice
	}{
		{"S3", records(s3), []Notice{ofS3}},
		{"S3, two records in order", records(s3, s3Record("ObjectCreated:Copy", `{"key":"b","eTag":"e2","sequencer":"0C"}`)), []Notice{ofS3,
			{Event: NoticeCreated, Name: "ObjectCreated:Copy", Bucket: "raw", Key: "b", ETag: "e2", Sequencer: "0C", Time: atMillis}}},
		{"S3, a name with its prefix", records(s3Record("s3:ObjectCreated:Post", `{"key":"b"}`)),
			[]Notice{{Event: NoticeCreated, Name: "ObjectCreated:Post", Bucket: "raw", Key: "b", Time: atMillis}}},
		{"S3, from before versions were kept", records(s3Record("ObjectCreated:Put", `{"key":"b","versionId":"null"}`)),
			[]Notice{{Event: NoticeCreated, Name: "ObjectCreated:Put", Bucket: "raw", Key: "b", Time: atMillis}}},
		{"S3, deleted", records(s3Record("ObjectRemoved:Delete", `{"key":"a/LOAD1.csv","versionId":"v1","eTag":"d4","sequencer":"0B"}`)),
			[]Notice{gone("ObjectRemoved:Delete", func(n *Notice) { n.VersionID, n.Time = "v1", atMillis })}},
		{"S3, hidden", records(s3Record("ObjectRemoved:DeleteMarkerCreated", `{"key":"a/LOAD1.csv","versionId":"m1","sequencer":"0B"}`)),
			[]Notice{gone("ObjectRemoved:DeleteMarkerCreated", func(n *Notice) { n.VersionID, n.Marker, n.Time = "m1", true, atMillis })}},
		{"S3, expired", records(s3Record("s3:LifecycleExpiration:Delete", `{"key":"a/LOAD1.csv","sequencer":"0B"}`)),
			[]Notice{gone("LifecycleExpiration:Delete", func(n *Notice) { n.Expired, n.Time = true, atMillis })}},
		{"S3, expired and hidden", records(s3Record("LifecycleExpiration:DeleteMarkerCreated", `{"key":"a/LOAD1.csv","versionId":"m1"}`)),
			[]Notice{gone("LifecycleExpiration:DeleteMarkerCreated", func(n *Notice) {
				n.VersionID, n.Marker, n.Expired, n.Sequencer, n.Time = "m1", true, true, "", atMillis
			})}},
		{"S3, moved to another class", records(s3Record("s3:LifecycleTransition", `{"key":"a","eTag":"e"}`)),
			[]Notice{{Name: "LifecycleTransition", Bucket: "raw", Key: "a", ETag: "e", Time: atMillis}}},
		{"the test event", `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2024-07-05T08:01:00.250Z","Bucket":"raw","RequestId":"5","HostId":"8"}`,
			[]Notice{{Name: "s3:TestEvent", Bucket: "raw", Time: atMillis}}},
		{"EventBridge", created, []Notice{ofBridge}},
		{"EventBridge, gone for good", eventBridge("Object Deleted", `{"key":"a/LOAD1.csv","version-id":"v1","sequencer":"0B"}`, `,"reason":"DeleteObject","deletion-type":"Permanently Deleted"`),
			[]Notice{gone("Object Deleted", func(n *Notice) { n.VersionID = "v1" })}},
		{"EventBridge, hidden", eventBridge("Object Deleted", `{"key":"a/LOAD1.csv","version-id":"m1","sequencer":"0B"}`, `,"reason":"DeleteObject","deletion-type":"Delete Marker Created"`),
			[]Notice{gone("Object Deleted", func(n *Notice) { n.VersionID, n.Marker = "m1", true })}},
		{"EventBridge, expired", eventBridge("Object Deleted", `{"key":"a/LOAD1.csv","sequencer":"0B"}`, `,"reason":"Lifecycle Expiration","deletion-type":"Permanently Deleted"`),
			[]Notice{gone("Object Deleted", func(n *Notice) { n.Expired = true })}},
		{"EventBridge, tags", eventBridge("Object Tags Added", `{"key":"a","etag":"e"}`, ""),
			[]Notice{{Name: "Object Tags Added", Bucket: "raw", Key: "a", ETag: "e", Time: at}}},
		{"EventBridge, a list", "[" + created + "," + created + "]", []Notice{ofBridge, ofBridge}},
		{"SQS", ofSQS(records(s3)), []Notice{ofS3}},
		{"SQS with EventBridge", ofSQS(created), []Notice{ofBridge}},
		{"SNS", ofSNS(records(s3)), []Notice{ofS3}},
		{"SNS in a queue", envelopeOfSNS(created), []Notice{ofBridge}},
		{"SNS in SQS", ofSQS(envelopeOfSNS(records(s3))), []Notice{ofS3}},
		{"space around it", "\n " + created + "\n", []Notice{ofBridge}},
	} {
		got, err := ParseNotification([]byte(c.data))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; expected %+v", c.name, got, err, c.want)
		}
	}
}

func TestParseNotificationRefuses(t *testing.T) {
	good := s3Record("ObjectCreated:Put", `{"key":"b"}`)
	deep := records(good)
	for range maxWraps + 1 {
		deep = envelopeOfSNS(deep)
	}
	for _, c := range []struct {
		name, data string
		says       string
		notices    int // that are read all the same
	}{
		{"nothing", "", "notification: it is no JSON of a notification", 0},
		{"text", "Hello", "notification: it is no JSON of a notification", 0},
		{"an empty list", "[]", "notification: it holds no event", 0},
		{"another JSON", `{"bucket":"raw","key":"a"}`, "neither an event notification of S3", 0},
		{"a number", "7", "notification: it is no JSON of a notification", 0},
		{"no records", `{"Records":[]}`, "neither an event notification of S3", 0},
		{"an event of DMS", `{"detail-type":"DMS Replication Task State Change","source":"aws.dms","detail":{}}`, `"DMS Replication Task State Change" comes from "aws.dms"`, 0},
		{"a message that is no notification", ofSQS("hello world"), "record 1, body: it is no JSON", 0},
		{"a topic's greeting", ofSNS("Hello from SNS!"), "record 1, message of SNS: it is no JSON", 0},
		{"a record of Kinesis", records(`{"eventSource":"aws:kinesis","kinesis":{}}`), `record 1: it comes from "aws:kinesis"`, 0},
		{"a bad record among good ones", records(good, s3Record("ObjectCreated:Put", `{"key":"50%"}`), good), "record 2: decode object key", 2},
		{"a key that is no UTF-8", records(s3Record("ObjectCreated:Put", `{"key":"%ff"}`)), "not UTF-8", 0},
		{"no key", records(s3Record("ObjectCreated:Put", `{"size":1}`)), "all three are needed", 0},
		{"no detail", `{"detail-type":"Object Created","source":"aws.s3"}`, "its detail is not", 0},
		{"a time that is none", strings.ReplaceAll(records(good), "2024-07-05T", "2024-07-05 "), "record 1: it is no JSON of a record", 0},
		{"a deletion like any other", `{"detail-type":"Object Deleted","source":"aws.s3","detail":{"bucket":{"name":"raw"},"object":{"key":"a"}}}`, "cannot be told from another", 0},
		{"wrapped again and again", deep, "wrapped more than 4 times", 0},
		{"too large", `{"Records":[` + strings.Repeat(" ", MaxNotification) + `]}`, "at most", 0},
	} {
		notices, err := ParseNotification([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.says) || len(notices) != c.notices {
			t.Errorf("%s: %d notices, %v; expected %d and an error that says %q", c.name, len(notices), err, c.notices, c.says)
		}
	}
}

// FuzzParseNotification: whatever comes is read or refused; what is read is
// complete, and no larger than what was given.
func FuzzParseNotification(f *testing.F) {
	s3 := records(s3Record("ObjectCreated:Put", `{"key":"a+b%2B","versionId":"v"}`))
	bridge := eventBridge("Object Deleted", `{"key":"a","sequencer":"0B"}`, `,"reason":"Lifecycle Expiration"`)
	for _, s := range []string{"", "[]", "{}", s3, bridge, ofSQS(s3), ofSNS(bridge), ofSQS(envelopeOfSNS(s3)), "[" + bridge + "]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		notices, err := ParseNotification(data)
		if err == nil && len(notices) == 0 {
			t.Fatal("neither read nor refused")
		}
		size := 0
		for _, n := range notices {
			size += len(n.Key)
			if n.Event != NoticeOther && (n.Bucket == "" || n.Key == "") {
				t.Fatalf("%+v names no object", n)
			}
			if n.Event == NoticeDeleted && n.Deletion().ID() == "" {
				t.Fatalf("%+v has no identity", n)
			}
		}
		if size > 3*len(data) { // bytes that are no UTF-8 become three
			t.Fatalf("%d bytes of keys from %d bytes", size, len(data))
		}
	})
}
