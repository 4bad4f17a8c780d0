package roles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/openblotter/blotter/pkg/callback"
	"github.com/openblotter/blotter/pkg/callback/stepfunctions"
	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/ingress/sqs"
)

// ingressWait is how long a poll of the ingress queue waits for messages. A process that
// ends waits for its polls, and one that is killed leaves them behind, which may take
// messages with them (pkg/ingress/sqs): so it is shorter than the longest. Four polls of it
// are two million requests a month.
const ingressWait = 5 * time.Second

// openIngress opens the ingress queue for the role that reads it, if there is one.
func (p *Process) openIngress(ctx context.Context) error {
	if p.cfg.Places.Ingress == "" || !p.cfg.need(needIngress) {
		return nil
	}
	var err error
	p.queue, p.tasks, err = p.open.entrance(ctx)
	return err
}

// Told reports whether something tells of objects in the raw bucket: then nobody has to
// look into it.
func (p *Process) Told() bool { return p.queue != nil }

// entrance opens the ingress queue, and the way to tasks that wait for what it tells of.
func (o *opener) entrance(ctx context.Context) (ingress.Queue, callback.Tasks, error) {
	a, err := o.cfg.address("ingress")
	if err != nil {
		return nil, nil, fmt.Errorf("--ingress: %w", err)
	}
	cfg, err := o.toAWS(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("--ingress: %w", err)
	}
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	q, err := sqs.Open(looking, awssqs.NewFromConfig(cfg), a.name, ingressWait)
	if errors.Is(err, sqs.ErrNoQueue) {
		return nil, nil, fmt.Errorf("--ingress: there is no queue %s in region %s: deploy deploy/aws/entrypoint.yaml, or name another: %w", a.name, cfg.Region, err)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--ingress: %w", err)
	}
	return q, stepfunctions.New(sfn.NewFromConfig(cfg)), nil
}
