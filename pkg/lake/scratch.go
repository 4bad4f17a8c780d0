package lake

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/openblotter/blotter/pkg/objects"
)

// scratch holds sorted runs, one after another, in one file that has no name: it
// is gone when the process is, however that ends. The file is made when the first
// run is; runs are written one at a time, and read by ReadAt.
type scratch struct {
	dir  string
	file *os.File
	size int64
}

// begin gives a writer for the next run.
func (s *scratch) begin() (*scratchRun, error) {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "blotter-merge-")
		if err != nil {
			return nil, fmt.Errorf("make a scratch file: %w", err)
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return nil, fmt.Errorf("make a scratch file: %w", err)
		}
	}
	return &scratchRun{scratch: s, start: s.size}, nil
}

func (s *scratch) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// scratchRun is one run. It is written like an object.
type scratchRun struct {
	scratch *scratch
	start   int64
	size    int64
}

var _ objects.Writer = (*scratchRun)(nil)

// Write appends.
func (r *scratchRun) Write(p []byte) (int, error) {
	n, err := r.scratch.file.WriteAt(p, r.start+r.size)
	r.size += int64(n)
	return n, err
}

// Commit ends the run, so that the next one can begin.
func (r *scratchRun) Commit(context.Context) (objects.Info, error) {
	r.scratch.size = r.start + r.size
	return objects.Info{Size: r.size}, nil
}

// Abort does nothing: the next run is written over this one.
func (r *scratchRun) Abort() error { return nil }

func (r *scratchRun) reader() *io.SectionReader {
	return io.NewSectionReader(r.scratch.file, r.start, r.size)
}
