package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// lockName is the file in a locked folder. It stays when the lock is given back:
// removing it would let two processes hold two files of that name.
const lockName = "blotter.lock"

// FolderLock keeps other processes out of a folder. The operating system holds
// the lock with the open file, so it ends with the process, however that ends.
type FolderLock struct{ file *flock.Flock }

// ErrFolderHeld: another process holds the folder.
var ErrFolderHeld = errors.New("folder is in use")

// HeldError says who holds a folder. errors.Is(err, ErrFolderHeld) holds.
type HeldError struct {
	Dir string
	PID int // 0: it cannot be told
}

// Error says what to do.
func (e *HeldError) Error() string {
	who := "another process"
	if e.PID > 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s is in use by %s; stop it first, or use another folder", e.Dir, who)
}

// Is makes the error an ErrFolderHeld.
func (e *HeldError) Is(target error) bool { return target == ErrFolderHeld }

// LockFolder takes the lock of a folder, which it creates if it is missing. It
// does not wait: a *HeldError tells that another process has it.
func LockFolder(dir string) (*FolderLock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the folder to lock: %w", err)
	}
	path := filepath.Join(dir, lockName)
	file := flock.New(path)
	locked, err := file.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	if !locked {
		return nil, &HeldError{Dir: dir, PID: holder(path)}
	}
	// The pid is for people only: what holds is the lock.
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("write the pid into %s: %w", path, err), file.Unlock())
	}
	return &FolderLock{file}, nil
}

// holder reads the pid that the holder wrote, 0 if there is none yet.
func holder(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// Unlock gives the folder back. It may be called again.
func (l *FolderLock) Unlock() error {
	if err := l.file.Unlock(); err != nil {
		return fmt.Errorf("unlock folder: %w", err)
	}
	return nil
}
