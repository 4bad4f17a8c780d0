package local

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/openblotter/blotter/pkg/objects"
)

type reader struct {
	file   *os.File
	info   objects.Info
	pinned bool
	stamp  stamp
}

var _ objects.Reader = (*reader)(nil)

func (r *reader) Info() objects.Info { return r.info }

func (r *reader) Close() error { return r.file.Close() }

func (r *reader) ReadAt(p []byte, offset int64) (int, error) { return r.file.ReadAt(p, offset) }

// Read looks at the end whether a pinned file is still the one that was
// opened: another program may have written into it meanwhile.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.file.Read(p)
	if r.pinned && errors.Is(err, io.EOF) {
		now, statErr := stampFile(r.file)
		if statErr != nil {
			return n, statErr
		}
		if !r.stamp.sameContent(now) {
			return n, fmt.Errorf("read object %q: %w while it was read", r.info.Key, objects.ErrChanged)
		}
	}
	return n, err
}
