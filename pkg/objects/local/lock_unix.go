//go:build unix

package local

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks a temporary file for as long as it is open. errInUse: another
// process holds it.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errInUse
	}
	return err
}
