package roles

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhyNATSIsNotReached: only where nobody answers is it asked whether the server is up;
// a seed that cannot be read is a fault of the seed.
func TestWhyNATSIsNotReached(t *testing.T) {
	t.Parallel()
	const up = "is the server up, and --nats (BLOTTER_NATS) its address?"
	empty := filepath.Join(t.TempDir(), "empty.nk")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url, seed string
		asks      bool
	}{
		{"nats://127.0.0.1:1", "", true},
		{"nats://127.0.0.1:1,127.0.0.1:2", "", true},
		{"nats://127.0.0.1:1", filepath.Join(t.TempDir(), "missing.nk"), false},
		{"nats://127.0.0.1:1", empty, false},
	} {
		cfg := DefaultConfig()
		cfg.Dir, cfg.Roles = filepath.Join(t.TempDir(), "data"), []string{"classifier"}
		cfg.Places.NATS, cfg.NATS.Seed = tt.url, tt.seed
		p, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Fatal(errors.Join(errors.New("it opens"), p.Close()))
		}
		if strings.Contains(err.Error(), up) != tt.asks {
			t.Errorf("%s with the seed %q: %v", tt.url, tt.seed, err)
		}
	}
}
