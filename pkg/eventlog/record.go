package eventlog

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Record is one event as it stands in the log.
type Record struct {
	Seq     uint64    // its sequence in the stream: the order of the log
	Stored  time.Time // when the server stored it
	Subject string
	Service string // who said it
	Table   dms.TableID
	// Envelope is the whole, Event the message in it; nil if this program is older
	// than the event's type and does not know it.
	Envelope *blotterv1.Envelope
	Event    proto.Message
	// Delivered counts the deliveries of this event to this consumer, from 1, and
	// from 1 again after a restart; 0 outside Consume.
	Delivered int
}

// decodeRecord reads a stored message. Its errors are permanent: the log never
// changes.
func decodeRecord(seq uint64, stored time.Time, subject string, data []byte) (Record, error) {
	r := Record{Seq: seq, Stored: stored, Subject: subject}
	addr, err := ParseSubject(subject)
	if err != nil {
		return r, Permanent(fmt.Errorf("event at sequence %d: %w", seq, err))
	}
	r.Service, r.Table = addr.Service, addr.Table
	if r.Envelope, err = Decode(data); err != nil {
		return r, Permanent(fmt.Errorf("event at sequence %d of %s: %w", seq, subject, err))
	}
	r.Event, err = r.Envelope.GetEvent().UnmarshalNew()
	if err != nil && !errors.Is(err, protoregistry.NotFound) {
		return r, Permanent(fmt.Errorf("event at sequence %d of %s: decode %s: %w",
			seq, subject, r.Envelope.GetEvent().GetTypeUrl(), err))
	}
	return r, nil
}
