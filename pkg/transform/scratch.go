package transform

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// scratchPattern names the scratch folder of one transform.
const scratchPattern = "blotter-sort-"

// RemoveScratch removes what transforms of a process that was killed left in a
// scratch folder (Config.ScratchDir). No transform may be using the folder.
func RemoveScratch(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, scratchPattern+"*"))
	if err != nil {
		return fmt.Errorf("list scratch folder: %w", err)
	}
	var faults []error
	for _, path := range left {
		faults = append(faults, os.RemoveAll(path))
	}
	return errors.Join(faults...)
}

// scratch is a folder for sorted runs. It is made when the first run is.
type scratch struct {
	parent string
	path   string
	count  int
}

func (s *scratch) newRun() *run {
	s.count++
	return &run{dir: s, name: strconv.Itoa(s.count)}
}

func (s *scratch) file(name string) (string, error) {
	if s.path == "" {
		path, err := os.MkdirTemp(s.parent, scratchPattern)
		if err != nil {
			return "", fmt.Errorf("make scratch folder: %w", err)
		}
		s.path = path
	}
	return filepath.Join(s.path, name), nil
}

// remove deletes the folder and all runs in it.
func (s *scratch) remove() error {
	if s.path == "" {
		return nil
	}
	if err := os.RemoveAll(s.path); err != nil {
		return fmt.Errorf("remove scratch folder: %w", err)
	}
	return nil
}

// run is one sorted run in a scratch file: records one after another.
type run struct {
	dir    *scratch
	name   string
	path   string
	reader *runReader
}

const (
	minRunBuffer = 4 << 10
	maxRunBuffer = 256 << 10
)

// runBuffer is the read buffer of one run, so that all of a merge stay within a
// quarter of the memory.
func (c Config) runBuffer() int {
	return int(min(max(c.MemoryBytes/int64(4*c.FanIn), minRunBuffer), maxRunBuffer))
}

func (r *run) write(from stream) error {
	path, err := r.dir.file(r.name)
	if err != nil {
		return err
	}
	r.path = path
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create sorted run: %w", err)
	}
	if err := writeRecords(f, from); err != nil {
		return errors.Join(fmt.Errorf("write sorted run: %w", err), f.Close())
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write sorted run: %w", err)
	}
	return nil
}

func writeRecords(f *os.File, from stream) error {
	w := bufio.NewWriterSize(f, maxRunBuffer)
	for {
		rec, err := from.next()
		if err != nil {
			return err
		}
		if rec == nil {
			return w.Flush()
		}
		if _, err := w.Write(rec); err != nil {
			return err
		}
	}
}

func (r *run) open(buffer int) (stream, error) {
	f, err := os.Open(r.path)
	if err != nil {
		return nil, fmt.Errorf("open sorted run: %w", err)
	}
	r.reader = &runReader{file: f, buf: make([]byte, buffer)}
	return r.reader, nil
}

// close frees the file of a run that is being read.
func (r *run) close() {
	if r.reader != nil {
		_ = r.reader.file.Close() // only read from
		r.reader = nil
	}
}

func (r *run) remove() error {
	r.close()
	if err := os.Remove(r.path); err != nil {
		return fmt.Errorf("remove sorted run: %w", err)
	}
	return nil
}

// runReader yields the records of a run from one buffer, which grows to the
// largest of them.
type runReader struct {
	file       *os.File
	buf        []byte
	start, end int
}

func (r *runReader) next() (record, error) {
	ok, err := r.have(4)
	if err != nil || !ok {
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(r.buf[r.start:]))
	if ok, err = r.have(n); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("read sorted run: %w", io.ErrUnexpectedEOF)
	}
	rec := record(r.buf[r.start : r.start+n])
	r.start += n
	return rec, nil
}

// have brings n bytes into the buffer; false at the end of the run.
func (r *runReader) have(n int) (bool, error) {
	if r.end-r.start >= n {
		return true, nil
	}
	r.end = copy(r.buf, r.buf[r.start:r.end])
	r.start = 0
	if n > len(r.buf) {
		grown := make([]byte, n)
		copy(grown, r.buf[:r.end])
		r.buf = grown
	}
	for r.end < n {
		k, err := r.file.Read(r.buf[r.end:])
		r.end += k
		if errors.Is(err, io.EOF) {
			if r.end > 0 && r.end < n {
				return false, fmt.Errorf("read sorted run: %w", io.ErrUnexpectedEOF)
			}
			return r.end >= n, nil
		}
		if err != nil {
			return false, fmt.Errorf("read sorted run: %w", err)
		}
	}
	return true, nil
}
