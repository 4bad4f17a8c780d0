package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotifyOfAWorkflow: a message by which a workflow waits goes back to its queue, and not,
// with its token, through the bus.
func TestNotifyOfAWorkflow(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "body.json")
	body := `{"kind":"blotter.ingest","token":"secret-token","execution":"x","entered":"2024-07-05T08:00:00Z","event":{"source":"aws.s3"}}`
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t.Context(), nil, "notify", file, "--dir", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "send it to the ingress queue again") || strings.Contains(out+err.Error(), "secret-token") {
		t.Errorf("it says %v\n%s", err, out)
	}
}
