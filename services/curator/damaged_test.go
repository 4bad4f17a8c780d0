package curator

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestADamagedTableIsToldSoon: what lacks an object is tried again a few times and then
// answered with the object and what to do; each attempt is in the log.
func TestADamagedTableIsToldSoon(t *testing.T) {
	const location = "file:///lake/rms/reports/metadata/00001-x.metadata.json"
	damaged := &lake.DamagedError{Location: location, Err: fs.ErrNotExist}
	for name, c := range map[string]struct {
		answers []error
		lines   int
		code    string // empty: it was published
	}{
		"it stays":                          {[]error{damaged}, damagedTries - 1, wire.FailureDamaged},
		"it passes":                         {[]error{damaged, damaged, nil}, 2, ""},
		"another fault is tried for longer": {[]error{errors.New("the catalog is away"), damaged, errors.New("the catalog is away"), damaged, damaged, nil}, 5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.lake.answers, b.lake.result.Strategy = c.answers, "merge"
			synctest.Test(t, func(t *testing.T) {
				var lines bytes.Buffer
				s := New(Deps{Lake: b.lake, Specs: oneSpec{b.spec}, Raw: b.raw, Staging: b.staging, Failed: b.failed,
					Now: time.Now, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
				began := time.Now()
				answers, err := s.publish(t.Context(), reports, &blotterv1.PublishRequested{Token: 4})
				if err != nil || len(answers) == 0 || time.Since(began) > time.Minute {
					t.Fatalf("publish gives %d answers, %v after %s", len(answers), err, time.Since(began))
				}
				e, failed := answers[0].event.(*blotterv1.PublishFailed)
				if failed != (c.code != "") || failed && (e.GetFailure().GetCode() != c.code || !strings.Contains(e.GetFailure().GetMessage(), location) || !strings.Contains(e.GetFailure().GetHint(), "blotter fsck")) {
					t.Errorf("it says %v", answers[0].event)
				}
				if n := strings.Count(lines.String(), "level=WARN"); n != c.lines || !strings.Contains(lines.String(), location) || !strings.Contains(lines.String(), "table=rms.reports") {
					t.Errorf("its log has %d lines:\n%s", n, lines.String())
				}
			})
		})
	}
	b := newBench(t)
	b.lake.answers = []error{damaged}
	if _, err := b.denied().fence(t.Context(), reports, &blotterv1.FenceRequested{Token: 4}); !errors.Is(err, damaged) || !strings.Contains(err.Error(), "put the object back") {
		t.Errorf("a fence says %v", err)
	}
	answers, err := b.denied().maintain(t.Context(), reports, &blotterv1.MaintenanceGranted{Token: 4})
	if err != nil || len(answers) != 1 || answers[0].event.(*blotterv1.MaintenanceFailed).GetFailure().GetCode() != wire.FailureDamaged {
		t.Errorf("a step of maintenance gives %v, %v", answers, err)
	}
}
