package eventlog

import (
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

// Fill is what the server counts and allows.
func TestFill(t *testing.T) {
	cfg := testConfig()
	cfg.MaxBytes = 1 << 20
	l := openLog(t, startServer(t), cfg)
	if bytes, most, err := l.Fill(t.Context()); err != nil || bytes != 0 || most != 1<<20 {
		t.Errorf("an empty log takes %d of %d bytes (%v)", bytes, most, err)
	}
	for n := range 3 {
		if _, err := l.PublishOnce(t.Context(), arrived(dms.TableID{DB: "rms", Table: "reports"}, n)); err != nil {
			t.Fatal(err)
		}
	}
	if bytes, most, err := l.Fill(t.Context()); err != nil || bytes == 0 || most != 1<<20 {
		t.Errorf("a log of three events takes %d of %d bytes (%v)", bytes, most, err)
	}
}
