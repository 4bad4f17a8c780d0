package lake

import (
	"io/fs"
	"path"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// objectInfo tells of an object in the words of a file system.
type objectInfo struct{ info objects.Info }

// Name is the last part of the key.
func (i objectInfo) Name() string { return path.Base(i.info.Key) }

// Size is in bytes.
func (i objectInfo) Size() int64 { return i.info.Size }

// Mode is that of a plain file.
func (i objectInfo) Mode() fs.FileMode { return 0o444 }

// ModTime is when the object was written.
func (i objectInfo) ModTime() time.Time { return i.info.LastModified }

// IsDir is false: a bucket has no folders.
func (i objectInfo) IsDir() bool { return false }

// Sys is nil.
func (i objectInfo) Sys() any { return nil }
