package roles

import (
	"log/slog"
	"time"

	"github.com/openblotter/blotter/pkg/jobs/glue"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
)

// OnGlue is the way to Glue.
type OnGlue struct {
	Config glue.Config
	API    glue.API
	Limits plan.Limits // of every run
}

// runner makes the runner that has jobs of Glue work between the places of maker, the
// staging one of which is open here.
func (g OnGlue) runner(maker plan.Maker, staging objects.Bucket, now func() time.Time, logger *slog.Logger) (*glue.Runner, error) {
	maker.Limits = g.Limits
	return glue.New(g.Config, glue.Deps{
		API: g.API, Staging: staging, Plan: maker.Document, Address: maker.Staging.Object, Now: now, Logger: logger,
	})
}
