package transform

import (
	"bytes"
	"container/heap"
)

func sameKey(a, b record) bool { return bytes.Equal(a.key(), b.key()) }

// overtake notes in the later record of a key what the earlier one was: if they
// share a position, the earlier and all that shared it are ties. Counting only
// ties with the last change makes the count independent of the order of merging.
func (l *layout) overtake(later, earlier record) {
	if l.orderLen > 0 && bytes.Equal(later.order(l), earlier.order(l)) {
		later.setTies(later.ties() + earlier.ties() + 1)
	}
}

// merger merges sorted streams into one.
type merger struct {
	lay   *layout
	heads []mergeHead
	begun bool
}

type mergeHead struct {
	record record
	from   stream
}

func newMerger(lay *layout, streams []stream) (*merger, error) {
	m := &merger{lay: lay}
	for _, s := range streams {
		r, err := s.next()
		if err != nil {
			return nil, err
		}
		if r != nil {
			m.heads = append(m.heads, mergeHead{record: r, from: s})
		}
	}
	heap.Init(m)
	return m, nil
}

func (m *merger) Len() int           { return len(m.heads) }
func (m *merger) Less(i, j int) bool { return m.lay.compare(m.heads[i].record, m.heads[j].record) < 0 }
func (m *merger) Swap(i, j int)      { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merger) Push(any)           {}
func (m *merger) Pop() any {
	m.heads = m.heads[:len(m.heads)-1]
	return nil
}

// next moves on from the record given before, then gives the least of all.
func (m *merger) next() (record, error) {
	if m.begun && len(m.heads) > 0 {
		r, err := m.heads[0].from.next()
		if err != nil {
			return nil, err
		}
		if r == nil {
			heap.Pop(m)
		} else {
			m.heads[0].record = r
			heap.Fix(m, 0)
		}
	}
	m.begun = true
	if len(m.heads) == 0 {
		return nil, nil
	}
	return m.heads[0].record, nil
}

// lastOfKey leaves the last record of each key of a sorted stream.
type lastOfKey struct {
	lay     *layout
	in      stream
	held    record // copied: the last record so far of its key
	given   record // copied: what the caller was given
	dropped *int64
}

func (k *lastOfKey) next() (record, error) {
	for {
		r, err := k.in.next()
		if err != nil {
			return nil, err
		}
		if r == nil || len(k.held) > 0 && !sameKey(r, k.held) {
			k.held, k.given = append(k.given[:0], r...), k.held
			if len(k.given) == 0 {
				return nil, nil
			}
			return k.given, nil
		}
		if len(k.held) > 0 {
			k.lay.overtake(r, k.held)
			*k.dropped++
		}
		k.held = append(k.held[:0], r...)
	}
}
