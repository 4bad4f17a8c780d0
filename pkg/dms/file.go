package dms

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// FileKind tells what a data file of DMS is.
type FileKind uint8

// The kinds of files; the zero value is none of them.
const (
	KindLoad        FileKind = iota + 1 // a full-load file (LOAD…)
	KindChange                          // an incremental file
	KindTransaction                     // a CDC_TXN file: rows of several tables
)

// String gives "load", "change" or "transaction".
func (k FileKind) String() string {
	switch k {
	case KindLoad:
		return "load"
	case KindChange:
		return "change"
	case KindTransaction:
		return "transaction"
	}
	return "unknown"
}

// ParseFileKind reads what String gives.
func ParseFileKind(s string) (FileKind, error) {
	for _, k := range []FileKind{KindLoad, KindChange, KindTransaction} {
		if s == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("kind of file %q: expected load, change or transaction", s)
}

// MarshalText gives what String gives, and nothing for the zero FileKind.
func (k FileKind) MarshalText() ([]byte, error) {
	if k == 0 {
		return nil, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads what MarshalText gives.
func (k *FileKind) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*k = 0
		return nil
	}
	kind, err := ParseFileKind(string(text))
	if err != nil {
		return err
	}
	*k = kind
	return nil
}

// Object is one version of one raw object, as its bucket tells of it.
type Object struct {
	Bucket       string
	Key          string // the true key, never URL-encoded
	VersionID    string // empty where the bucket keeps no versions
	ETag         string // on a local folder the SHA-256 of the content, in hex
	Size         int64
	LastModified time.Time
}

// FileID is the identity of a file: 32 hex digits. A file delivered twice has
// one FileID; a key written again with new content has a new one.
type FileID string

// NewFileID hashes what identifies a version of an object: bucket, key and
// version id, or the ETag where there is no version. For a load file without a
// version id LastModified counts too: a task that restarts may write the same
// bytes under the same LOAD key, and that is a new load.
func NewFileID(o Object, kind FileKind) FileID {
	h := sha256.New()
	write := func(s string) {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	write(o.Bucket)
	write(o.Key)
	if o.VersionID != "" {
		write("v" + o.VersionID)
	} else {
		write("e" + o.ETag)
		if kind == KindLoad {
			write(o.LastModified.UTC().Format(time.RFC3339Nano))
		}
	}
	return FileID(hex.EncodeToString(h.Sum(nil)[:16]))
}

// File is a classified file: which object, of what kind, in which order.
type File struct {
	ID     FileID
	Object Object
	Kind   FileKind
	Order  FileOrder
	// Part names the rows of one table in a transaction file: Object is then the
	// whole transaction file. It is zero for any other file, but for mended rows of
	// such a part.
	Part Part `json:",omitzero"`
	// Mending is set for rows that an operator mended: Object is then the mended
	// file.
	Mending Mending `json:",omitzero"`
}
