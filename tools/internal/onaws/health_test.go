package onaws

import (
	"context"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// healthy waits until every role says of itself that it does its work, as the health check
// of its container in deploy/aws/services.yaml asks: as its user of the NATS server, who may
// do its own part only, and, where there is one, with the ingress queue.
func (s *site) healthy() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, commandTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for _, role := range roles.Names() {
		for {
			cmd := exec.CommandContext(ctx, s.path, "health", "--dir", filepath.Join(s.dir, role))
			cmd.Env = s.env
			out, err := cmd.CombinedOutput()
			if err == nil {
				break
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				s.t.Fatalf("%s does not become healthy: %v, %s", role, err, out)
			}
		}
	}
}
