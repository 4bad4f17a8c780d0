package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Span is a range of sequences, both inclusive.
type Span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

func (s Span) String() string {
	if s.First == s.Last {
		return fmt.Sprint(s.First)
	}
	return fmt.Sprintf("%d to %d", s.First, s.Last)
}

// MissingError tells that the stream does not hold every event between its first and its
// last. Nothing may be deleted from it, so what lacks was lost or altered: a server that
// reads a message whose checksum is wrong passes over it, and says nothing.
type MissingError struct {
	Events uint64 // how many lack
	Spans  []Span // where, in order; the first of them if there are very many
}

// maxSpans bounds how many spans a MissingError lists.
const maxSpans = 100

func (e *MissingError) Error() string {
	at := make([]string, 0, 5)
	for _, s := range e.Spans[:min(len(e.Spans), cap(at))] {
		at = append(at, s.String())
	}
	if len(e.Spans) > len(at) {
		at = append(at, "...")
	}
	return fmt.Sprintf("the log lacks %d of its events, at sequence %s: its server's files were damaged or altered; "+
		"restore the stream from a backup (`blotter audit verify --against` tells what of it is archived)", e.Events, strings.Join(at, ", "))
}

// lacks notes that sequences from first to last were passed over.
func (e *MissingError) lacks(first, last uint64) {
	if first > last {
		return
	}
	e.Events += last - first + 1
	if len(e.Spans) < maxSpans {
		e.Spans = append(e.Spans, Span{first, last})
	}
}

// OrNil is the error if anything lacks, else nil.
func (e *MissingError) OrNil() error {
	if e == nil || e.Events == 0 {
		return nil
	}
	return e
}

// Whole reads which events the stream holds, and fails with a *MissingError if it does
// not hold all between its first and its last. What was trimmed does not lack.
func (l *Log) Whole(ctx context.Context) error {
	first, last, err := l.Bounds(ctx)
	if err != nil || first > last {
		return err
	}
	missing, next := &MissingError{}, first
	for m, err := range l.messages(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first, HeadersOnly: true,
	}, last, false) {
		if err != nil {
			return fmt.Errorf("look whether the log is whole: %w", err)
		}
		missing.lacks(next, m.seq-1)
		next = m.seq + 1
	}
	missing.lacks(next, last)
	if missing.Events == 0 {
		return nil
	}
	now, _, err := l.Bounds(ctx)
	if err == nil && now > first {
		err = ErrTrimmed
	}
	return errors.Join(missing.OrNil(), err)
}

// passage follows what a read is given of the stream, and tells in the end whether it was
// given all. It can tell that of a read to the end of the log.
type passage struct {
	log     *Log
	subject string // what the server chooses by; empty: nothing
	// next is the sequence that a read without a subject is to be given, 0 if it began
	// at a time and was given none yet.
	next     uint64
	missing  MissingError
	last     uint64 // where the log ended
	expected uint64 // how many events of the subject there were, by the server's index
	counted  bool   // expected is known
	given    uint64
}

// begin begins the passage of a read that starts in the stream at sequence from, or at a
// time if from is 0. first is where the stream begins.
func (l *Log) begin(ctx context.Context, subjects []string, from, first, last uint64) (*passage, error) {
	p := &passage{log: l, next: from, last: last}
	if len(subjects) == 0 {
		return p, nil
	}
	p.subject = subjects[0]
	if from == 0 || from > first {
		return p, nil // the server counts from the beginning
	}
	info, err := l.stream.Info(ctx, jetstream.WithSubjectFilter(p.subject))
	if err != nil {
		return nil, fmt.Errorf("ask how many events of %s there are: %w", p.subject, err)
	}
	p.counted = true
	for _, n := range info.State.Subjects {
		p.expected += n
	}
	return p, nil
}

func (p *passage) pass(seq uint64) {
	if p.subject == "" && p.next > 0 {
		p.missing.lacks(p.next, seq-1)
	}
	p.next = seq + 1
	p.given++
}

// end fails with a *MissingError if the read that came to sequence until was not given all.
func (p *passage) end(ctx context.Context, until uint64) error {
	if p.subject == "" {
		if p.next > 0 {
			p.missing.lacks(p.next, until)
		}
		return p.missing.OrNil()
	}
	if !p.counted || until < p.last || p.given >= p.expected {
		return nil
	}
	// The index counts more: perhaps those that came since.
	return p.log.Whole(ctx)
}
