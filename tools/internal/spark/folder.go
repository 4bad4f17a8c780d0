package spark

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/openblotter/blotter/pkg/lifecycle"
)

// folderPrefix begins the names of the folders of sessions.
const folderPrefix = "blotter-spark-"

// folderGrace is how old a folder without a lock must be to count as left: the lock of
// a new one is about to be taken.
const folderGrace = time.Minute

// makeFolder makes the folder of a session, locked for as long as this process lives.
func makeFolder(base string) (string, *lifecycle.FolderLock, error) {
	dir, err := os.MkdirTemp(base, folderPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for Spark: %w", err)
	}
	lock, err := lifecycle.LockFolder(dir)
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("make a folder for Spark: %w", err), os.RemoveAll(dir))
	}
	return dir, lock, nil
}

// removeDead removes the folders of sessions whose process was killed, with what Spark
// has spilled there. What cannot be removed, such as another user's, is left.
func removeDead(ctx context.Context, base string, logger *slog.Logger) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return // whoever makes a folder there is told
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(folderPrefix+"*", e.Name()); !ok || !e.IsDir() {
			continue
		}
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < folderGrace {
			continue
		}
		dir := filepath.Join(base, e.Name())
		lock, err := lifecycle.LockFolder(dir)
		if err != nil {
			continue // in use, or another user's
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Unlock()); err != nil {
			logger.WarnContext(ctx, "the folder of a Spark that is gone was not removed", "folder", dir, "error", err)
		}
	}
}
