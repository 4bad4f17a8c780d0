package sample

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// Drop is a drop that was written, and what must come of it.
type Drop struct {
	// Registration is the registration file of its tables, YAML.
	Registration string
	// Files lists the files in the order of delivery. A file stands in it twice
	// if it is delivered twice.
	Files []File
	// Tables lists the tables in the order of the registration.
	Tables []Table

	states []*table // by index in Tables
}

// Outcome is what must become of a file once all waves have been worked off.
type Outcome string

// The outcomes.
const (
	Published   Outcome = "published"
	Duplicate   Outcome = "duplicate"   // the same file as one before, delivered again
	Superseded  Outcome = "superseded"  // it belongs to a generation that was replaced before it came
	Quarantined Outcome = "quarantined" // it cannot be read
	Held        Outcome = "held"        // it waits behind a quarantined file of its table
)

// File is one delivery of one file.
type File struct {
	Table dms.TableID
	Kind  dms.FileKind
	Key   string // in the raw bucket
	Path  string // where the bytes lie until Place moves them
	// Wave is when it is delivered, from 1: the files of a wave may come in any
	// order, those of the next come when nothing is left to do.
	Wave         int
	Size         int64
	LastModified time.Time // the file's modification time, which Place keeps
	Rows         int64
	// Duplicates is how many of its rows another row of the file replaces.
	Duplicates int64
	Expect     Outcome
	Why        string // for people: what is remarkable about it; often empty
}

// Table tells what must come of a table.
type Table struct {
	ID         dms.TableID
	PrimaryKey []string
	Files      int64 // that are published
	RowsIn     int64 // in the files that are published
	Deletes    int64 // among them
	// Duplicates is how many rows of those files another row of the same file
	// replaces.
	Duplicates int64
	Rows       int64 // of the table in the end
	// RowsResumed is Rows after its table was resumed past the quarantined file.
	RowsResumed int64
}

// Waves is the number of waves.
func (d *Drop) Waves() int {
	n := 0
	for _, f := range d.Files {
		n = max(n, f.Wave)
	}
	return n
}

// Place moves a file into the raw folder, under its key, all at once and with
// its modification time. A file can be placed once.
func (d *Drop) Place(f File, raw string) error {
	to := filepath.Join(raw, filepath.FromSlash(f.Key))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", f.Key, err)
	}
	err := os.Rename(f.Path, to)
	var link *os.LinkError
	if errors.As(err, &link) && !errors.Is(err, fs.ErrNotExist) { // another file system
		err = moveAcross(f, to)
	}
	if err != nil {
		return fmt.Errorf("place %s: %w", f.Key, err)
	}
	return nil
}

// moveAcross copies under a hidden name and renames, so that nobody sees half.
func moveAcross(f File, to string) (err error) {
	in, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := filepath.Join(filepath.Dir(to), ".placing-"+filepath.Base(to))
	out, err := os.Create(tmp)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := os.Chtimes(tmp, f.LastModified, f.LastModified); err != nil {
		return err
	}
	if err := os.Rename(tmp, to); err != nil {
		return err
	}
	return os.Remove(f.Path)
}

// WriteExpected writes the rows that a table must hold when all waves have been
// worked off, as CSV with a header: `\N` is null, columns in the order of the
// registration, the form that package cases reads. It streams.
func (d *Drop) WriteExpected(w io.Writer, id dms.TableID) error {
	return d.writeRows(w, id, false)
}

// WriteResumed is WriteExpected for when the paused table has been resumed with
// the quarantined file skipped.
func (d *Drop) WriteResumed(w io.Writer, id dms.TableID) error {
	return d.writeRows(w, id, true)
}

func (d *Drop) writeRows(w io.Writer, id dms.TableID, resumed bool) error {
	for i, t := range d.Tables {
		if t.ID != id {
			continue
		}
		out := bufio.NewWriterSize(w, 1<<16)
		if err := d.states[i].writeExpected(out, resumed); err != nil {
			return fmt.Errorf("write the expected rows of %s: %w", id, err)
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("write the expected rows of %s: %w", id, err)
		}
		return nil
	}
	return fmt.Errorf("the drop has no table %s", id)
}
