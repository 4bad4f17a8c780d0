package spill

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Sorter sorts records by key, then by value, as bytes compare. Equal records all
// stay. It is for one goroutine; Close it in any case.
type Sorter struct {
	dir    string
	memory int

	arena []byte
	refs  []ref
	file  *os.File
	size  int64 // of the runs in file
	runs  []run
	live  int64
}

// ref is where a record lies in the arena.
type ref struct{ at, key, value int }

type run struct{ at, size int64 }

// The memory of a record beside its bytes, what reading a run takes, and how many
// runs are merged at once.
const (
	refBytes  = 24
	runBuffer = 64 << 10
	fanIn     = 64
)

// New makes a sorter that holds some memory bytes of records, at least one of them,
// and spills to dir (empty: the system's folder for temporary files).
func New(dir string, memory int) *Sorter { return &Sorter{dir: dir, memory: memory} }

// Len counts the records.
func (s *Sorter) Len() int64 { return s.live }

// Add takes a copy of a record.
func (s *Sorter) Add(key, value []byte) error {
	need := len(key) + len(value)
	if len(s.refs) > 0 && len(s.arena)+need+refBytes*(len(s.refs)+1) > s.memory {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.refs = append(s.refs, ref{len(s.arena), len(key), len(value)})
	s.arena = append(append(s.arena, key...), value...)
	s.live++
	return nil
}

func (s *Sorter) record(r ref) (key, value []byte) {
	return s.arena[r.at : r.at+r.key], s.arena[r.at+r.key : r.at+r.key+r.value]
}

func (s *Sorter) sort() {
	slices.SortFunc(s.refs, func(a, b ref) int {
		ak, av := s.record(a)
		bk, bv := s.record(b)
		if c := bytes.Compare(ak, bk); c != 0 {
			return c
		}
		return bytes.Compare(av, bv)
	})
}

// spill writes what is held as a sorted run.
func (s *Sorter) spill() error {
	s.sort()
	w, err := s.begin()
	if err != nil {
		return err
	}
	for _, r := range s.refs {
		w.record(s.record(r))
	}
	s.arena, s.refs = s.arena[:0], s.refs[:0]
	return w.end()
}

// begin starts the next run.
func (s *Sorter) begin() (*runWriter, error) {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "blotter-spill-")
		if err != nil {
			return nil, fmt.Errorf("make a scratch file: %w", err)
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return nil, fmt.Errorf("make a scratch file: %w", err)
		}
	}
	return &runWriter{s: s, out: bufio.NewWriterSize(io.NewOffsetWriter(s.file, s.size), runBuffer)}, nil
}

type runWriter struct {
	s    *Sorter
	out  *bufio.Writer
	size int64
	head []byte
}

func (w *runWriter) record(key, value []byte) {
	w.head = binary.AppendUvarint(w.head[:0], uint64(len(key)))
	w.head = binary.AppendUvarint(w.head, uint64(len(value)))
	w.out.Write(w.head)
	w.out.Write(key)
	w.out.Write(value)
	w.size += int64(len(w.head) + len(key) + len(value))
}

func (w *runWriter) end() error {
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write a sorted run: %w", err)
	}
	w.s.runs = append(w.s.runs, run{w.s.size, w.size})
	w.s.size += w.size
	return nil
}

// Sorted ends the input and gives the records in order. It may be called again, and
// then begins anew.
func (s *Sorter) Sorted(ctx context.Context) (*Stream, error) {
	if s.file == nil {
		s.sort()
		return &Stream{ctx: ctx, heads: []*head{{memory: s}}}, nil
	}
	if len(s.refs) > 0 {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	for len(s.runs) > fanIn {
		if err := s.merge(ctx); err != nil {
			return nil, err
		}
	}
	return s.stream(ctx, s.runs), nil
}

func (s *Sorter) stream(ctx context.Context, runs []run) *Stream {
	st := &Stream{ctx: ctx}
	for _, r := range runs {
		in := bufio.NewReaderSize(io.NewSectionReader(s.file, r.at, r.size), runBuffer)
		st.heads = append(st.heads, &head{in: in})
	}
	return st
}

// merge makes one run of the first few.
func (s *Sorter) merge(ctx context.Context) error {
	st := s.stream(ctx, s.runs[:fanIn])
	w, err := s.begin()
	if err != nil {
		return err
	}
	for {
		key, value, ok, err := st.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		w.record(key, value)
	}
	s.runs = s.runs[fanIn:]
	return w.end()
}

// Close frees the scratch file.
func (s *Sorter) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// Stream yields records in order.
type Stream struct {
	ctx   context.Context
	heads []*head // a heap, once begun
	begun bool
	n     int
}

// head is the next record of one run, or of what is in memory.
type head struct {
	in         *bufio.Reader
	memory     *Sorter
	at         int
	key, value []byte
}

// next goes to the next record; false at the end.
func (h *head) next() (bool, error) {
	if h.memory != nil {
		if h.at == len(h.memory.refs) {
			return false, nil
		}
		h.key, h.value = h.memory.record(h.memory.refs[h.at])
		h.at++
		return true, nil
	}
	k, err := binary.ReadUvarint(h.in)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	v, err2 := binary.ReadUvarint(h.in)
	if err := errors.Join(err, err2); err != nil {
		return false, fmt.Errorf("read a sorted run: %w", err)
	}
	h.key = slices.Grow(h.key[:0], int(k))[:k]
	h.value = slices.Grow(h.value[:0], int(v))[:v]
	for _, b := range [][]byte{h.key, h.value} {
		if _, err := io.ReadFull(h.in, b); err != nil {
			return false, fmt.Errorf("read a sorted run: %w", err)
		}
	}
	return true, nil
}

func (h *head) less(o *head) bool {
	if c := bytes.Compare(h.key, o.key); c != 0 {
		return c < 0
	}
	return bytes.Compare(h.value, o.value) < 0
}

// Next gives the next record, valid until the next call; false at the end.
func (s *Stream) Next() (key, value []byte, ok bool, err error) {
	if s.n++; s.n&0xfff == 0 {
		if err := s.ctx.Err(); err != nil {
			return nil, nil, false, err
		}
	}
	if !s.begun {
		s.begun = true
		var left []*head
		for _, h := range s.heads {
			ok, err := h.next()
			if err != nil {
				return nil, nil, false, err
			}
			if ok {
				left = append(left, h)
			}
		}
		slices.SortFunc(left, func(a, b *head) int {
			switch {
			case a.less(b):
				return -1
			case b.less(a):
				return 1
			}
			return 0
		})
		s.heads = left // sorted is a heap
	} else if err := s.advance(); err != nil {
		return nil, nil, false, err
	}
	if len(s.heads) == 0 {
		return nil, nil, false, nil
	}
	return s.heads[0].key, s.heads[0].value, true, nil
}

// advance goes on from the least record.
func (s *Stream) advance() error {
	if len(s.heads) == 0 {
		return nil
	}
	ok, err := s.heads[0].next()
	if err != nil {
		return err
	}
	if !ok {
		last := len(s.heads) - 1
		s.heads[0] = s.heads[last]
		s.heads = s.heads[:last]
	}
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(s.heads) {
			return nil
		}
		if r := child + 1; r < len(s.heads) && s.heads[r].less(s.heads[child]) {
			child = r
		}
		if !s.heads[child].less(s.heads[i]) {
			return nil
		}
		s.heads[i], s.heads[child] = s.heads[child], s.heads[i]
		i = child
	}
}
