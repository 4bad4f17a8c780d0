package transform

import (
	"context"
	"encoding/binary"
	"slices"
)

// stream yields records in order. A record is valid until the next call; nil is
// the end.
type stream interface {
	next() (record, error)
}

// sorter sorts the records of a file by key, position and row, and leaves the
// last of each key. What outgrows half of its memory is sorted and spilled
// while the other half fills.
type sorter struct {
	lay     *layout
	cfg     Config
	dir     *scratch
	arena   *arena
	spare   *arena
	busy    chan error // a spill that is under way; nil if none is
	runs    []*run
	dropped int64
}

func newSorter(lay *layout, cfg Config, dir *scratch) *sorter {
	half := max(cfg.MemoryBytes/2, 1)
	return &sorter{lay: lay, cfg: cfg, dir: dir, arena: newArena(lay, half), spare: newArena(lay, half)}
}

// add takes a copy of a record.
func (s *sorter) add(r record) error {
	if s.arena.full(len(r)) {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.arena.add(r)
	return nil
}

// spill waits for the spill before, then sorts and writes what is held in the
// background.
func (s *sorter) spill() error {
	if err := s.settle(); err != nil {
		return err
	}
	a := s.arena
	s.arena, s.spare = s.spare, nil
	busy := make(chan error, 1)
	s.busy = busy
	r := s.dir.newRun()
	s.runs = append(s.runs, r)
	go func() {
		a.sort()
		s.dropped += a.dropped
		err := r.write(a)
		a.reset()
		s.spare = a
		busy <- err
	}()
	return nil
}

// settle waits for the spill that is under way.
func (s *sorter) settle() error {
	if s.busy == nil {
		return nil
	}
	err := <-s.busy
	s.busy = nil
	return err
}

// sorted ends the input: the records by key, each key once. dropped is complete
// when the stream has ended.
func (s *sorter) sorted(ctx context.Context) (stream, error) {
	if err := s.settle(); err != nil {
		return nil, err
	}
	s.spare = nil
	s.arena.sort()
	s.dropped += s.arena.dropped
	if len(s.runs) == 0 {
		return s.arena, nil
	}
	if err := s.reduce(ctx); err != nil {
		return nil, err
	}
	streams := []stream{s.arena}
	for _, r := range s.runs {
		opened, err := r.open(s.cfg.runBuffer())
		if err != nil {
			return nil, err
		}
		streams = append(streams, opened)
	}
	return s.merge(streams)
}

// reduce merges runs until one merge can take them all.
func (s *sorter) reduce(ctx context.Context) error {
	for len(s.runs) > s.cfg.FanIn {
		var streams []stream
		for _, r := range s.runs[:s.cfg.FanIn] {
			opened, err := r.open(s.cfg.runBuffer())
			if err != nil {
				return err
			}
			streams = append(streams, opened)
		}
		merged, err := s.merge(streams)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r := s.dir.newRun()
		if err := r.write(merged); err != nil {
			return err
		}
		for _, old := range s.runs[:s.cfg.FanIn] {
			if err := old.remove(); err != nil {
				return err
			}
		}
		s.runs = append(s.runs[s.cfg.FanIn:], r)
	}
	return nil
}

func (s *sorter) merge(streams []stream) (stream, error) {
	m, err := newMerger(s.lay, streams)
	if err != nil {
		return nil, err
	}
	return &lastOfKey{lay: s.lay, in: m, dropped: &s.dropped}, nil
}

// stop ends what is under way, before the scratch folder is removed.
func (s *sorter) stop() error {
	err := s.settle()
	for _, r := range s.runs {
		r.close()
	}
	return err
}

// arena holds records in memory, and gives them back sorted.
type arena struct {
	lay     *layout
	limit   int64
	used    int64
	chunks  [][]byte
	refs    []recordRef
	common  []byte // what all keys begin with
	at      int    // of the stream
	dropped int64
}

// recordRef names a record in its chunk. prefix is the part of the key behind
// what all keys have in common: most comparisons need no more.
type recordRef struct {
	prefix uint64
	chunk  uint32
	offset uint32
}

const (
	refBytes   = 16
	firstChunk = 32 << 10 // small files take little; each chunk doubles
	chunkSize  = 1 << 20
)

func newArena(lay *layout, limit int64) *arena { return &arena{lay: lay, limit: limit} }

// full reports whether another record of n bytes would pass the limit. An empty
// arena takes any.
func (a *arena) full(n int) bool {
	return len(a.refs) > 0 && a.used+int64(n)+refBytes > a.limit
}

func (a *arena) add(r record) {
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+len(r) > cap(a.chunks[last]) {
		last = a.nextChunk(len(r))
	}
	chunk := a.chunks[last]
	a.refs = append(a.refs, recordRef{chunk: uint32(last), offset: uint32(len(chunk))})
	a.chunks[last] = append(chunk, r...)
	a.used += int64(len(r)) + refBytes
	key := r.key()
	if len(a.refs) == 1 {
		a.common = append(a.common[:0], key...)
		return
	}
	n := 0
	for n < len(a.common) && n < len(key) && a.common[n] == key[n] {
		n++
	}
	a.common = a.common[:n]
}

// nextChunk makes room for n bytes, in memory of an earlier use if it fits.
func (a *arena) nextChunk(n int) int {
	last := len(a.chunks)
	if last < cap(a.chunks) {
		if old := a.chunks[:last+1][last]; cap(old) >= n && cap(old) <= chunkSize {
			a.chunks = append(a.chunks, old[:0])
			return last
		}
	}
	size := max(n, min(firstChunk<<min(last, 10), chunkSize))
	a.chunks = append(a.chunks, make([]byte, 0, size))
	return last
}

func (a *arena) reset() {
	a.used, a.refs, a.at, a.dropped = 0, a.refs[:0], 0, 0
	a.chunks = a.chunks[:0]
}

func (a *arena) record(ref recordRef) record {
	b := a.chunks[ref.chunk][ref.offset:]
	return record(b[:binary.LittleEndian.Uint32(b[offLength:])])
}

// sort orders the records and keeps the last of each key.
func (a *arena) sort() {
	skip := len(a.common)
	for i := range a.refs {
		a.refs[i].prefix = keyPrefix(a.record(a.refs[i]).key()[skip:])
	}
	slices.SortFunc(a.refs, func(x, y recordRef) int {
		if x.prefix != y.prefix {
			if x.prefix < y.prefix {
				return -1
			}
			return 1
		}
		return a.lay.compare(a.record(x), a.record(y))
	})
	kept := 0
	for i, ref := range a.refs {
		if i > 0 && ref.prefix == a.refs[kept-1].prefix {
			if last, r := a.record(a.refs[kept-1]), a.record(ref); sameKey(last, r) {
				a.lay.overtake(r, last)
				a.refs[kept-1] = ref
				a.dropped++
				continue
			}
		}
		a.refs[kept] = ref
		kept++
	}
	a.refs = a.refs[:kept]
}

// keyPrefix gives the first eight bytes as a number that compares as they do.
func keyPrefix(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

func (a *arena) next() (record, error) {
	if a.at == len(a.refs) {
		return nil, nil
	}
	a.at++
	return a.record(a.refs[a.at-1]), nil
}
