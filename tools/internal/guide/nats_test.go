package guide

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// natsPage is what the page about NATS shows: a folder in which its commands were run, and
// what is tried on servers.
type natsPage struct {
	recipe
	confs   map[string]string // by their word
	creates []block           // commands that make the log: on one server, on three
	monitor []string          // what a server is asked on its own machine
	sign    string            // the command that signs the certificate of nats-1
}

// TestNATSPage tries what the page about NATS shows: its commands, its table of users, and
// its configurations by real servers.
func TestNATSPage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not on the path")
		}
		t.Skip("openssl is not on the path")
	}
	blocks, prose := readPage(t, "../../../deploy/guide/nats.md")
	checkCommands(t, prose)
	for _, a := range roles.Accesses() {
		if row := fmt.Sprintf("| `%s` | %s |", a.Name, a.May); !strings.Contains(prose, row) {
			t.Errorf("the page lacks %s", row)
		}
	}
	p := natsPage{recipe: recipe{dir: t.TempDir()}, confs: map[string]string{}}
	for _, b := range blocks {
		switch {
		case b.attrs["conf"] != "":
			p.confs[b.attrs["conf"]] = b.text
		case b.is("sh", "create"):
			checkCommands(t, "`"+strings.TrimSpace(b.text)+"`")
			p.creates = append(p.creates, b)
		case b.is("sh", "monitor"):
			for line := range strings.Lines(b.text) {
				p.monitor = append(p.monitor, strings.TrimPrefix(strings.TrimSpace(line), "curl -s http://127.0.0.1:8222"))
			}
		case b.lang == "sh":
			p.prepare(t, b)
		case b.is("text", "output"):
			for line := range strings.Lines(b.text) {
				if !strings.Contains(p.output, strings.TrimSpace(line)) {
					t.Errorf("%s: %q is missing in\n%s", b, line, p.output)
				}
			}
		default:
			t.Errorf("%s: no rule tries this block", b)
		}
	}
	if len(p.confs) != 3 || len(p.creates) != 2 || len(p.monitor) != 2 {
		t.Fatalf("the page shows %d configurations, %d commands that make the log, and asks a server %q", len(p.confs), len(p.creates), p.monitor)
	}
	t.Run("one", p.tryOne)
	t.Run("verify", p.tryVerify)
	t.Run("three", p.tryThree)
}

// prepare runs a block of commands. Servers are called by the address of this machine; what
// makes a certificate of the first is done for each of the others, too.
func (p *natsPage) prepare(t *testing.T, b block) {
	t.Helper()
	b.text = strings.ReplaceAll(b.text, "DNS:nats-1.blotter.internal", "IP:127.0.0.1")
	p.run(t, b)
	var others strings.Builder
	for line := range strings.Lines(b.text) {
		if strings.Contains(line, "nats-1.csr") {
			p.sign = line
			for n := 2; n <= size; n++ {
				others.WriteString(strings.ReplaceAll(line, "nats-1", fmt.Sprintf("nats-%d", n)))
			}
		}
	}
	if others.Len() > 0 {
		b.text = others.String()
		p.run(t, b)
	}
}

func (p natsPage) file(name string) string { return filepath.Join(p.dir, name) }
