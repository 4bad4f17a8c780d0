package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"github.com/openblotter/blotter/pkg/objects"
)

// maxKnownFolders bounds what is remembered; forgetting costs an fsync.
const maxKnownFolders = 1 << 14

// folders remembers which folders are durably there. A folder that another
// process has just made may not be, so that existing is not enough.
type folders struct {
	mu    sync.Mutex
	known map[string]struct{}
}

func (f *folders) has(dir string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.known[dir]
	return ok
}

func (f *folders) add(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil || len(f.known) >= maxKnownFolders {
		f.known = make(map[string]struct{})
	}
	f.known[dir] = struct{}{}
}

// forget forgets dir and all folders above it.
func (f *folders) forget(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ; dir != currentPath; dir = path.Dir(dir) {
		delete(f.known, dir)
	}
}

// ensureFolder makes dir and its parents durably.
func (b *Bucket) ensureFolder(dir string) error {
	if dir == currentPath || b.folders.has(dir) {
		return nil
	}
	parent := path.Dir(dir)
	if err := b.ensureFolder(parent); err != nil {
		return err
	}
	if err := b.root.Mkdir(dir, folderMode); errors.Is(err, fs.ErrExist) {
		if info, err := b.root.Stat(dir); err == nil && !info.IsDir() {
			return fmt.Errorf("%w: %q is an object here and cannot have others below it", objects.ErrKey, dir)
		}
	} else if err != nil {
		return err
	}
	if err := b.syncFolder(parent); err != nil {
		return err
	}
	b.folders.add(dir)
	return nil
}

// syncFolder makes the entries of a folder durable.
func (b *Bucket) syncFolder(dir string) error {
	f, err := b.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(f), f.Close())
}

func syncDir(f *os.File) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be flushed there
	}
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil // this file system has nothing to flush
	}
	return err
}

// prune removes the folders that an object's removal left empty: a bucket
// knows no empty folders, and each would cost every listing.
func (b *Bucket) prune(dir string) {
	for ; dir != currentPath; dir = path.Dir(dir) {
		if info, err := b.root.Lstat(dir); err != nil || !info.IsDir() {
			return
		}
		b.folders.forget(dir)
		if err := b.root.Remove(dir); err != nil {
			return // not empty
		}
	}
}

// makeDir makes the bucket's own folder and its parents durably.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is no folder", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(f), f.Close())
}
