package local

import (
	"io/fs"
	"time"
)

// stamp tells one state of a file from another without reading it.
type stamp struct {
	size     int64
	modified int64  // Unix nanoseconds
	changed  int64  // the inode's change time, which no program can set; else modified
	inode    uint64 // 0 where there is none
	device   uint64
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime().UnixNano()}
	s.changed = s.modified
	s.fill(info)
	return s
}

// sameContent reports whether nothing tells that the content has changed
// between two stamps: modes and links may have.
func (s stamp) sameContent(o stamp) bool {
	return s.size == o.size && s.modified == o.modified && s.inode == o.inode && s.device == o.device
}

// quiet is how long ago the file was changed; negative if its clock is ahead.
func (s stamp) quiet(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, s.changed))
}
