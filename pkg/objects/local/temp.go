package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// abandoned is the age at which a temporary file is taken for a leftover on a
// file system without locks.
const abandoned = 24 * time.Hour

// errInUse: the temporary file has a living writer.
var errInUse = errors.New("file is locked")

// createTemp makes a temporary file and locks it. A sweep of another process
// may come between the two; then the file is gone and another is made.
func (b *Bucket) createTemp() (*os.File, string, error) {
	const attempts = 1000
	for range attempts {
		name := tempFolder + "/" + rand.Text()
		f, err := b.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
		if errors.Is(err, fs.ErrNotExist) {
			if err = b.root.Mkdir(tempFolder, folderMode); err == nil || errors.Is(err, fs.ErrExist) {
				continue
			}
		}
		if err != nil {
			return nil, "", err
		}
		err = lockFile(f)
		if errors.Is(err, errInUse) {
			_ = f.Close()
			continue
		}
		// A file system without locks has no sweeps by lock either.
		info, statErr := b.root.Lstat(name)
		if statErr == nil && sameFile(f, info) {
			return f, name, nil
		}
		_ = f.Close()
	}
	return nil, "", fmt.Errorf("temporary files in %s vanish", tempFolder)
}

func sameFile(f *os.File, info fs.FileInfo) bool {
	own, err := f.Stat()
	return err == nil && os.SameFile(own, info)
}

// sweep removes the temporary files of writers that have died. What it cannot
// remove stays for another time: a leftover harms nothing.
func (b *Bucket) sweep() {
	folder, err := b.root.Open(tempFolder)
	if err != nil {
		return
	}
	defer folder.Close()
	entries, _ := folder.ReadDir(-1)
	for _, e := range entries {
		if e.Type().IsRegular() {
			b.sweepFile(tempFolder + "/" + e.Name())
		}
	}
}

func (b *Bucket) sweepFile(name string) {
	f, err := b.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	switch err := lockFile(f); {
	case err == nil:
		_ = b.root.Remove(name)
	case errors.Is(err, errInUse):
	default:
		if info, err := f.Stat(); err == nil && b.now().Sub(info.ModTime()) > abandoned {
			_ = b.root.Remove(name)
		}
	}
}
