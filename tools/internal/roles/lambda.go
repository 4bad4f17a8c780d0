package roles

import (
	"context"
	"fmt"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/lambda"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	lambdatransformer "github.com/openblotter/blotter/services/lambda-transformer"
)

// OnLambda is the way to Lambda.
type OnLambda struct {
	Config lambda.Config
	API    lambda.API
	Limits plan.Limits // of every invocation
}

// lambdaAnswer is how long an answer of Lambda is waited for: as long as a function may
// run, and somewhat longer.
const lambdaAnswer = 15*time.Minute + 30*time.Second

// reachLambda makes the runner for functions of Lambda, for the role that invokes them.
func (p *Process) reachLambda(ctx context.Context) error {
	if !p.cfg.wants(lambdatransformer.ServiceName) {
		return nil
	}
	way := p.cfg.OnLambda
	if way == nil && p.onAWS() {
		cfg, err := awsconfig.Load(ctx, awsconfig.AnswerTimeout(lambdaAnswer))
		if err != nil {
			return fmt.Errorf("find the way to Lambda: %w", err)
		}
		way = &OnLambda{Config: lambda.DefaultConfig(), API: awslambda.NewFromConfig(cfg)}
	}
	if way == nil {
		return nil
	}
	maker := p.planMaker()
	maker.Limits = way.Limits
	runner, err := lambda.New(way.Config, lambda.Deps{
		API: way.API, Staging: p.staging.bucket, Plan: jobs.Documents(maker), Now: p.now, Logger: p.logger,
	})
	if err != nil {
		return err
	}
	p.onLambda = runner
	return nil
}

// planMaker makes the plans of what runs elsewhere, between the places of this process.
func (p *Process) planMaker() plan.Maker {
	return plan.Maker{Raw: p.raw.at, Staging: p.staging.at, Failed: p.failed.at}
}
