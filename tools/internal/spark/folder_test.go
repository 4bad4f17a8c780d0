package spark

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestFoldersOfTheDeadAreRemoved: those of the living, of the newborn and what has
// another name stay.
func TestFoldersOfTheDeadAreRemoved(t *testing.T) {
	base := t.TempDir()
	living, lock, err := makeFolder(base)
	if err != nil {
		t.Fatal(err)
	}
	dead, left, err := makeFolder(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := left.Unlock(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	newborn, other := filepath.Join(base, folderPrefix+"newborn"), filepath.Join(base, "blotter-other")
	for _, dir := range []string{newborn, other, filepath.Join(dead, "spill")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-2 * folderGrace)
	for _, dir := range []string{living, dead, other} {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	removeDead(t.Context(), base, slog.New(slog.DiscardHandler))
	for dir, stays := range map[string]bool{living: true, dead: false, newborn: true, other: true} {
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v, expected that it stays: %v", filepath.Base(dir), err, stays)
		}
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}
