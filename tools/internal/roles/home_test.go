package roles

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMovedFolderIsRefused(t *testing.T) {
	cfg := DefaultConfig()
	base, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(base, link); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = filepath.Join(link, "here")
	open := func() error {
		p, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return p.Close()
	}
	for range 2 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	moved := filepath.Join(t.TempDir(), "there")
	if err := os.Rename(cfg.Dir, moved); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = moved
	if err := open(); err == nil || !strings.Contains(err.Error(), filepath.Join(base, "here")) {
		t.Fatalf("a moved folder was opened: %v", err)
	}
}
