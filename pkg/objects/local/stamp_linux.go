package local

import (
	"io/fs"
	"syscall"
)

func (s *stamp) fill(info fs.FileInfo) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode, s.device = st.Ino, st.Dev
		s.changed = st.Ctim.Nano()
	}
}
