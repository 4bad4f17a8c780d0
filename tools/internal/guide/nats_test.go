package guide

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestNATSPage tries what the page about NATS shows: its commands, its table of users, and
// its configuration by the server that reads it.
func TestNATSPage(t *testing.T) {
	t.Parallel()
	blocks, prose := readPage(t, "../../../deploy/guide/nats.md")
	checkCommands(t, prose)
	for _, a := range roles.Accesses() {
		if row := fmt.Sprintf("| `%s` | %s |", a.Name, a.May); !strings.Contains(prose, row) {
			t.Errorf("the page lacks %s", row)
		}
	}
	r := recipe{dir: t.TempDir()}
	confs := 0
	for _, b := range blocks {
		switch {
		case b.is("text", "conf"):
			confs++
			conf := filepath.Join(r.dir, "nats.conf")
			var kept []string // certificates are made elsewhere
			for line := range strings.Lines(b.text) {
				if !strings.HasPrefix(line, "tls ") {
					kept = append(kept, line)
				}
			}
			if err := os.WriteFile(conf, []byte(strings.Join(kept, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			if o, err := server.ProcessConfigFile(conf); err != nil || len(o.Nkeys) != 11 {
				t.Errorf("%s: nats-server says %v", b, err)
			}
		case b.is("sh", "only"):
			checkCommands(t, "`"+strings.TrimSpace(b.text)+"`")
		case b.lang == "sh":
			r.run(t, b)
		case b.is("text", "output"):
			for line := range strings.Lines(b.text) {
				if !strings.Contains(r.output, strings.TrimSpace(line)) {
					t.Errorf("%s: %q is missing in\n%s", b, line, r.output)
				}
			}
		default:
			t.Errorf("%s: no rule tries this block", b)
		}
	}
	if confs != 1 {
		t.Errorf("%d configurations were tried", confs)
	}
}
