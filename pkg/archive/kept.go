package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KeptFile is the newest checkpoint of an archive, in the folder of the system that writes
// it: apart from the archive, so that this cannot be taken away, or cut short, unseen.
const KeptFile = "audit-checkpoint"

// ErrTaken: the archive lacks what was archived.
var ErrTaken = errors.New("the archive, or the end of it, was taken away")

// KeptIn reads the checkpoint that a folder keeps; its error is fs.ErrNotExist if there is none.
func KeptIn(dir string, keys Keys) (c Checkpoint, signed []byte, err error) {
	path := filepath.Join(dir, KeptFile)
	if signed, err = os.ReadFile(path); err != nil {
		return c, nil, fmt.Errorf("read the checkpoint that was kept: %w", err)
	}
	if c, err = OpenKept(signed, keys); err != nil {
		err = fmt.Errorf("the checkpoint that was kept in %s: %w; put the key that signed it back, or, if the file was damaged, move it away", path, err)
	}
	return c, signed, err
}

// KeepIn has the writer keep its newest checkpoint in a folder, and go on behind no archive
// that ends before it.
func (w *Writer) KeepIn(dir string) { w.keepIn = dir }

// notTaken fails with ErrTaken where the archive ends before the checkpoint that was kept.
func (w *Writer) notTaken(size uint64) error {
	if w.keepIn == "" {
		return nil
	}
	kept, _, err := KeptIn(w.keepIn, w.store.keys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && kept.Size > size {
		err = fmt.Errorf("%w: it ends at sequence %d, a checkpoint of sequence %d was kept; restore it from a copy, or, if it is lost for good, "+
			"move what is left of it and %s away, and it is written anew as far as the log reaches back", ErrTaken, size, kept.Size, filepath.Join(w.keepIn, KeptFile))
	}
	return err
}

// keep writes the newest checkpoint, whole or not at all.
func (w *Writer) keep(signed []byte) error {
	if w.keepIn == "" {
		return nil
	}
	path := filepath.Join(w.keepIn, KeptFile)
	c, err := OpenKept(signed, w.store.keys)
	if err != nil {
		return fmt.Errorf("keep a checkpoint: %w", err)
	}
	if kept, b, err := KeptIn(w.keepIn, w.store.keys); err == nil && (bytes.Equal(b, signed) || kept.Size > c.Size) {
		return nil // another writer was faster
	}
	f, err := os.CreateTemp(w.keepIn, "."+KeptFile+"-*")
	if err != nil {
		return fmt.Errorf("keep a checkpoint: %w", err)
	}
	_, err = f.Write(signed)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep a checkpoint: %w", err), os.Remove(f.Name()))
	}
	return nil
}
