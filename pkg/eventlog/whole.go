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

// Lacks counts the events that the stream lacks between its first and its last, as far as
// its server knows without reading them: a file that is gone, not one that was altered,
// which Whole finds.
func (l *Log) Lacks(ctx context.Context) (uint64, error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask how many events the log holds: %w", err)
	}
	s := info.State
	if s.Msgs == 0 || s.LastSeq-s.FirstSeq+1 < s.Msgs {
		return 0, nil
	}
	return s.LastSeq - s.FirstSeq + 1 - s.Msgs, nil
}

// Whole reads which events the stream holds, and fails with a *MissingError if it does
// not hold all between its first and its last. What was trimmed does not lack.
func (l *Log) Whole(ctx context.Context) error {
	const looks = 5
	for range looks {
		first, last, err := l.Bounds(ctx)
		if err != nil || first > last {
			return err
		}
		missing, err := l.lacking(ctx, first, last)
		if err != nil || missing.Events == 0 {
			return err
		}
		now, _, err := l.Bounds(ctx)
		if err != nil {
			return err
		}
		if now == first {
			return missing
		}
	}
	return ErrTrimmed
}

// lacking reads which events lack between two sequences.
func (l *Log) lacking(ctx context.Context, first, last uint64) (*MissingError, error) {
	missing, next := &MissingError{}, first
	for m, err := range l.messages(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first, HeadersOnly: true,
	}, last, false) {
		if err != nil {
			return nil, fmt.Errorf("look whether the log is whole: %w", err)
		}
		missing.lacks(next, m.seq-1)
		next = m.seq + 1
	}
	missing.lacks(next, last)
	return missing, nil
}

// passage follows what a read is given of the stream, and tells in the end whether it was
// given all. It can tell that of a read to the end of the log.
type passage struct {
	log     *Log
	subject string // what the server chooses by; empty: nothing
	// next is the sequence that a read without a subject is to be given, 0 if it began
	// at a time and was given none yet.
	next    uint64
	missing MissingError
	// first and last are where the stream began and ended.
	first, last uint64
	expected    uint64 // how many events of the subject there were, by the server's index
	counted     bool   // expected is known
	given       uint64
}

// begin begins the passage of a read through the stream.
func (l *Log) begin(ctx context.Context, subjects []string, f Filter) (*passage, error) {
	p := &passage{log: l}
	var options []jetstream.StreamInfoOpt
	if len(subjects) > 0 {
		p.subject = subjects[0]
		options = append(options, jetstream.WithSubjectFilter(p.subject))
	}
	info, err := l.stream.Info(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("ask for the bounds of the log: %w", err)
	}
	p.first, p.last = bounds(info)
	p.next = f.begins(p.first)
	// The server counts from the beginning.
	p.counted = p.subject != "" && f.From.IsZero() && f.FromSeq <= p.first
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
		if p.missing.Events == 0 {
			return nil
		}
		if now, _, err := p.log.Bounds(ctx); err != nil || now > p.first {
			return errors.Join(err, ErrTrimmed)
		}
		return &p.missing
	}
	if !p.counted || until < p.last || p.given >= p.expected {
		return nil
	}
	// The index counts more: perhaps those that came since.
	return p.log.Whole(ctx)
}
