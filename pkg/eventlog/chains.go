package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/dms"
)

// End gives the version of the last event that a service said of a table, 0 if the stream
// holds none: what was trimmed does not count.
func (l *Log) End(ctx context.Context, table dms.TableID, service string) (version uint64, err error) {
	chain := l.partitions.chain(table, service)
	last, err := l.lastOf(ctx, chain)
	if err == nil && last.Sequence == 0 {
		err = l.noneOf(ctx, chain)
	}
	if err != nil || last.Sequence == 0 {
		return 0, err
	}
	env, err := Decode(last.Data)
	if err != nil {
		return 0, Permanent(fmt.Errorf("event at sequence %d: %w", last.Sequence, err))
	}
	return env.GetVersion(), nil
}

// noneOf fails if the server counts events of a chain, of which it gave none.
func (l *Log) noneOf(ctx context.Context, chain string) error {
	info, err := l.stream.Info(ctx, jetstream.WithSubjectFilter(chain))
	if err != nil {
		return fmt.Errorf("ask how many events of %s there are: %w", chain, err)
	}
	if len(info.State.Subjects) == 0 {
		return nil
	}
	last, err := l.lastOf(ctx, chain) // the first of them may just have come
	if err == nil && last.Sequence == 0 {
		err = fmt.Errorf("the server counts events of %s, and does not give the last: its files are damaged; `blotter fsck` tells which, and the stream is restored from a backup", chain)
	}
	return err
}

// Tables lists the tables of which the stream holds events of a service.
func (l *Log) Tables(ctx context.Context, service string) (map[dms.TableID]bool, error) {
	info, err := l.stream.Info(ctx, jetstream.WithSubjectFilter(strings.Join([]string{root, any1, any1, any1, escape(service), any1}, ".")))
	if err != nil {
		return nil, fmt.Errorf("list the tables of the log: %w", denied(l.nc, err))
	}
	tables := map[dms.TableID]bool{}
	var faults []error
	for subject := range info.State.Subjects {
		a, err := ParseSubject(subject)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		tables[a.Table] = true
	}
	return tables, errors.Join(faults...)
}

// Newest gives the last event of one name that a service said of a table, if the stream
// holds any: what was trimmed does not count. It costs one request.
func (l *Log) Newest(ctx context.Context, table dms.TableID, service, event string) (r Record, found bool, err error) {
	last, err := l.lastOf(ctx, l.partitions.Subject(table, service, event))
	if err != nil || last.Sequence == 0 {
		return Record{}, false, err
	}
	r, err = decodeRecord(last.Sequence, last.Time, last.Subject, last.Data)
	return r, err == nil, err
}

// Few yields the events of one name that a service said of a table, in order, as far as
// the stream holds them. Each costs a request: it is for those of which a table has few.
func (l *Log) Few(ctx context.Context, table dms.TableID, service, event string) iter.Seq2[Record, error] {
	subject := l.partitions.Subject(table, service, event)
	return func(yield func(Record, error) bool) {
		for next := uint64(1); ; {
			m, err := l.stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("read %s from sequence %d: %w", subject, next, denied(l.nc, err)))
				return
			}
			r, err := decodeRecord(m.Sequence, m.Time, m.Subject, m.Data)
			if !yield(r, err) || err != nil {
				return
			}
			next = m.Sequence + 1
		}
	}
}
