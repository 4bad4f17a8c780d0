package ingestrouter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// MaxNotification bounds the bytes of one notification: what a queue of AWS
// takes at most.
const MaxNotification = 1 << 20

// maxWraps bounds how deep a notification may be wrapped: an event in an SNS
// envelope in a message of a queue in a batch of them.
const maxWraps = 4

// Notice is what a notification tells of one object.
type Notice struct {
	Event  NoticeKind
	Name   string // the event as AWS names it
	Bucket string
	Key    string // the true key, never URL-encoded
	// VersionID is empty where the bucket keeps no versions. Of a deletion it is
	// the version that is gone, or with Marker the delete marker that hides the
	// others.
	VersionID string
	ETag      string // empty of a deletion
	Marker    bool
	Sequencer string
	Time      time.Time
	Expired   bool // a lifecycle rule deleted it
}

// NoticeKind tells what happened.
type NoticeKind uint8

// The kinds; the zero value is an event that tells neither of a new object nor
// of a deletion, such as the test event of a new notification.
const (
	NoticeOther NoticeKind = iota
	NoticeCreated
	NoticeDeleted
)

// Deletion is the deletion that a notice of NoticeDeleted tells of.
func (n Notice) Deletion() Deletion {
	return Deletion{
		Bucket: n.Bucket, Key: n.Key, VersionID: n.VersionID, Marker: n.Marker,
		Sequencer: n.Sequencer, Time: n.Time, Expired: n.Expired,
	}
}

// ParseNotification reads what AWS says when objects come and go, in the order
// in which it stands there:
//
//   - event notifications of S3 (Records, keys encoded for URLs) and the test
//     event that comes before them;
//   - "Object Created", "Object Deleted" and the other events of S3 in the form of
//     EventBridge (keys as they are);
//   - either of them in an SNS envelope, in messages of SQS as Lambda hands them
//     on, or in a JSON array.
//
// What can be read is given beside the faults of the rest, which are reported
// together and name their place. Anything that is no event of S3 is a fault.
func ParseNotification(data []byte) ([]Notice, error) {
	if len(data) > MaxNotification {
		return nil, fmt.Errorf("the notification has %d bytes: at most %d are expected", len(data), MaxNotification)
	}
	var p notificationParser
	p.parse(data, "", maxWraps)
	if len(p.notices)+len(p.faults) == 0 {
		p.fault("", errors.New("it holds no event"))
	}
	return p.notices, errors.Join(p.faults...)
}

type notificationParser struct {
	notices []Notice
	faults  []error
}

func (p *notificationParser) fault(where string, err error) {
	if where == "" {
		where = "notification"
	}
	p.faults = append(p.faults, fmt.Errorf("%s: %w", where, err))
}

// below names a place in a notification for a person.
func below(where, part string) string {
	if where == "" {
		return part
	}
	return where + ", " + part
}

// envelope has the fields by which the forms are told apart.
type envelope struct {
	Records []json.RawMessage `json:"Records"` // S3, SQS, SNS

	Event  string    `json:"Event"` // "s3:TestEvent"
	Bucket string    `json:"Bucket"`
	Time   time.Time `json:"Time"` // also EventBridge's: names of fields match in any case

	Type    string  `json:"Type"` // SNS, in a queue: "Notification"
	Message *string `json:"Message"`

	DetailType string          `json:"detail-type"` // EventBridge
	Source     string          `json:"source"`
	Detail     json.RawMessage `json:"detail"`
}

func (p *notificationParser) parse(data []byte, where string, wraps int) {
	if wraps < 0 {
		p.fault(where, fmt.Errorf("it is wrapped more than %d times", maxWraps))
		return
	}
	if data = bytes.TrimSpace(data); bytes.HasPrefix(data, []byte("[")) {
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			p.fault(where, fmt.Errorf("it is no JSON: %w", err))
		}
		for i, one := range list {
			p.parse(one, below(where, fmt.Sprintf("event %d", i+1)), wraps-1)
		}
		return
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		p.fault(where, fmt.Errorf("it is no JSON of a notification: %w", err))
		return
	}
	switch {
	case len(e.Records) > 0:
		for i, one := range e.Records {
			p.record(one, below(where, fmt.Sprintf("record %d", i+1)), wraps)
		}
	case e.DetailType != "":
		p.eventBridge(e, where)
	case e.Type == "Notification" && e.Message != nil:
		p.parse([]byte(*e.Message), below(where, "message of SNS"), wraps-1)
	case e.Event == "s3:TestEvent":
		p.notices = append(p.notices, Notice{Name: e.Event, Bucket: e.Bucket, Time: e.Time})
	default:
		p.fault(where, errors.New("it is neither an event notification of S3 nor an event of EventBridge"))
	}
}

// record is one entry of Records: of S3, or of a queue or topic with a
// notification in it.
type record struct {
	EventSource string `json:"eventSource"`

	Body *string `json:"body"` // of SQS
	SNS  *struct {
		Message *string `json:"Message"`
	} `json:"Sns"`

	EventName string    `json:"eventName"` // of S3
	EventTime time.Time `json:"eventTime"`
	S3        *struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"` // encoded for URLs
			VersionID string `json:"versionId"`
			ETag      string `json:"eTag"`
			Sequencer string `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
}

func (p *notificationParser) record(data []byte, where string, wraps int) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		p.fault(where, fmt.Errorf("it is no JSON of a record: %w", err))
		return
	}
	switch {
	case r.S3 != nil && r.EventSource == "aws:s3":
		p.s3(r, where)
	case r.Body != nil:
		p.parse([]byte(*r.Body), below(where, "body"), wraps-1)
	case r.SNS != nil && r.SNS.Message != nil:
		p.parse([]byte(*r.SNS.Message), below(where, "message of SNS"), wraps-1)
	default:
		p.fault(where, fmt.Errorf("it comes from %q: only events of S3 tell of objects", r.EventSource))
	}
}

func (p *notificationParser) s3(r record, where string) {
	key, err := dms.DecodeNotificationKey(r.S3.Object.Key)
	if err != nil {
		p.fault(where, err)
		return
	}
	n := Notice{
		Name: strings.TrimPrefix(r.EventName, "s3:"), Bucket: r.S3.Bucket.Name, Key: key, Time: r.EventTime,
		VersionID: r.S3.Object.VersionID, ETag: r.S3.Object.ETag, Sequencer: r.S3.Object.Sequencer,
	}
	family, what, _ := strings.Cut(n.Name, ":")
	switch family {
	case "ObjectCreated":
		n.Event = NoticeCreated
	case "ObjectRemoved", "LifecycleExpiration":
		n.Event = NoticeDeleted
		n.Marker = what == "DeleteMarkerCreated"
		n.Expired = family == "LifecycleExpiration"
	}
	p.add(n, where)
}

// eventBridgeDetail is what EventBridge says of an object.
type eventBridgeDetail struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string `json:"key"` // as it is
		VersionID string `json:"version-id"`
		ETag      string `json:"etag"`
		Sequencer string `json:"sequencer"`
	} `json:"object"`
	Reason       string `json:"reason"`
	DeletionType string `json:"deletion-type"`
}

func (p *notificationParser) eventBridge(e envelope, where string) {
	if e.Source != "aws.s3" {
		p.fault(where, fmt.Errorf("event %q comes from %q: only events of aws.s3 tell of objects", e.DetailType, e.Source))
		return
	}
	var d eventBridgeDetail
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		p.fault(where, fmt.Errorf("its detail is not that of an event of S3: %w", err))
		return
	}
	n := Notice{
		Name: e.DetailType, Bucket: d.Bucket.Name, Key: d.Object.Key, Time: e.Time,
		VersionID: d.Object.VersionID, ETag: d.Object.ETag, Sequencer: d.Object.Sequencer,
	}
	switch e.DetailType {
	case "Object Created":
		n.Event = NoticeCreated
	case "Object Deleted":
		n.Event = NoticeDeleted
		n.Marker = d.DeletionType == "Delete Marker Created"
		n.Expired = d.Reason == "Lifecycle Expiration"
	}
	p.add(n, where)
}

// add takes a notice in if it names its object.
func (p *notificationParser) add(n Notice, where string) {
	if n.Name == "" || n.Bucket == "" || n.Key == "" {
		p.fault(where, fmt.Errorf("event %q names bucket %q and key %q: all three are needed", n.Name, n.Bucket, n.Key))
		return
	}
	if n.VersionID == "null" { // of an object from before versions were kept: written over like any other
		n.VersionID = ""
	}
	if n.Event == NoticeDeleted {
		n.ETag = ""
		if n.VersionID == "" && n.Sequencer == "" && n.Time.IsZero() {
			p.fault(where, fmt.Errorf("the deletion of %q names neither version nor sequencer nor time: it cannot be told from another", n.Key))
			return
		}
	}
	p.notices = append(p.notices, n)
}
