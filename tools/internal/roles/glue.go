package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	awsglue "github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/glue"
	jobslocal "github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	gluedispatcher "github.com/openblotter/blotter/services/glue-dispatcher"
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
		API: g.API, Staging: staging, Plan: jobs.DocumentsNow(maker), Address: maker.Staging.Object, Now: now, Logger: logger,
	})
}

// openRunners makes what transforms run in, for the roles that run them.
func (p *Process) openRunners(ctx context.Context) error {
	if !p.cfg.need(needStaging) {
		return nil
	}
	tables, err := p.tables()
	if err != nil {
		return err
	}
	p.runner = jobslocal.New(p.raw.bucket, p.staging.bucket, p.failed.bucket, p.cfg.Transform)
	p.glue = p.runner
	if p.cfg.GlueRunner != nil {
		folders := [3]*local.Bucket{}
		for i, b := range []place{p.raw, p.staging, p.failed} {
			var ok bool
			if folders[i], ok = b.bucket.(*local.Bucket); !ok {
				return errors.New("a Spark of this machine works on folders; let --raw, --staging and --failed be some")
			}
		}
		p.glue = p.cfg.GlueRunner(folders[0], folders[1], folders[2], tables)
	}
	if err := p.reachLambda(ctx); err != nil {
		return err
	}
	if !p.cfg.wants(gluedispatcher.ServiceName) {
		return nil
	}
	way, err := p.wayToGlue(ctx)
	if way == nil || err != nil {
		return err
	}
	maker := p.planMaker()
	maker.Tables = tables
	runner, err := way.runner(maker, p.staging.bucket, p.now, p.logger)
	if err != nil {
		return err
	}
	p.onGlue = runner
	return nil
}

// onAWS reports whether what runs on AWS can read and write what transforms need.
func (p *Process) onAWS() bool { return p.raw.onAWS && p.staging.onAWS && p.failed.onAWS }

// wayToGlue is the configured one, or that of AWS where its runs could work; nil where
// there is none.
func (p *Process) wayToGlue(ctx context.Context) (*OnGlue, error) {
	if p.cfg.OnGlue != nil || !p.onAWS() {
		return p.cfg.OnGlue, nil
	}
	cfg, err := p.open.toAWS(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the way to Glue: %w", err)
	}
	return &OnGlue{Config: glue.DefaultConfig(), API: awsglue.NewFromConfig(cfg)}, nil
}
