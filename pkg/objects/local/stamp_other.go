//go:build !linux && !darwin

package local

import "io/fs"

func (s *stamp) fill(fs.FileInfo) {}
