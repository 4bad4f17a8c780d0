package roles

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/alert/eventbridge"
	"github.com/openblotter/blotter/pkg/alert/sns"
	"github.com/openblotter/blotter/pkg/alert/webhook"
	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/services/curator"
)

// schemeAlerts marks the address of alerts, which are several, and no path.
const schemeAlerts = "alerts"

// maxChannels bounds the channels of alerts.
const maxChannels = 10

// parseAlerts checks the channels of alerts. The address of a webhook is a secret, which
// no error shows.
func parseAlerts(uri string) (address, error) {
	_, err := channels(uri)
	return address{scheme: schemeAlerts}, err
}

// channel is one channel that is not open yet.
type channel struct {
	arn  arn.ARN // zero: it is the webhook
	hook *webhook.Hook
}

// noAlerts is said where channels were named before and nobody is to be told any more.
const noAlerts = "none"

// channels reads a list of channels, with commas between them.
func channels(uri string) ([]channel, error) {
	var all []channel
	if uri == noAlerts {
		return nil, nil
	}
	for one := range strings.SplitSeq(uri, ",") {
		one = strings.TrimSpace(one)
		if !arn.IsARN(one) {
			hook, err := webhook.New(one)
			if err != nil {
				return nil, fmt.Errorf("channel %d: %w, or the ARN of a topic of SNS or a bus of EventBridge", len(all)+1, err)
			}
			all = append(all, channel{hook: hook})
			continue
		}
		a, err := arn.Parse(one)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", one, err)
		}
		if a.Region == "" || a.Service != "sns" && (a.Service != "events" || !strings.HasPrefix(a.Resource, "event-bus/")) {
			return nil, fmt.Errorf("%q: expected arn:aws:sns:REGION:ACCOUNT:TOPIC or arn:aws:events:REGION:ACCOUNT:event-bus/NAME", one)
		}
		all = append(all, channel{arn: a})
	}
	if len(all) > maxChannels {
		return nil, fmt.Errorf("%d channels: expected at most %d", len(all), maxChannels)
	}
	return all, nil
}

// OpenAlerts opens the channels of alerts; there are none where none is named. It asks
// nothing of them yet.
func OpenAlerts(ctx context.Context, cfg Config) ([]alert.Channel, error) {
	if cfg.Places.Alerts == "" {
		return nil, nil
	}
	all, err := channels(cfg.Places.Alerts)
	if err != nil {
		return nil, fmt.Errorf("--alerts: %w", err)
	}
	out := make([]alert.Channel, len(all))
	for i, c := range all {
		if c.hook != nil {
			out[i] = c.hook
			continue
		}
		// A topic or a bus may lie in another region than the rest.
		aws, err := awsconfig.Load(ctx, awsconfig.Region(c.arn.Region))
		if err != nil {
			return nil, fmt.Errorf("--alerts: %w", err)
		}
		if c.arn.Service == "sns" {
			out[i] = sns.New(awssns.NewFromConfig(aws), c.arn.String())
		} else {
			out[i] = eventbridge.New(awseventbridge.NewFromConfig(aws), c.arn.String())
		}
	}
	return out, nil
}

// openAlerts opens the channels of alerts for the role that sends them.
func (p *Process) openAlerts(ctx context.Context) (err error) {
	if p.cfg.need(needAlerts) {
		p.channels, err = OpenAlerts(ctx, p.cfg)
	}
	return err
}

// andAlerts runs alerts beside the loops of the curator, where there are channels.
func (p *Process) andAlerts(run func(context.Context) error) func(context.Context) error {
	if len(p.channels) == 0 {
		return run
	}
	alerts := curator.NewAlerts(curator.AlertsDeps{
		Log: p.Log, Channels: p.channels, Objects: p.Store, Now: p.now, Logger: p.logger,
	})
	return func(ctx context.Context) error { return runBoth(ctx, run, alerts.Run) }
}

// AlertWait is how long Alerted waits for channels that do not answer.
const AlertWait = 5 * time.Second

// Alerted waits until every alert was taken or refused, for AlertWait at most, and reports
// whether it was: those that are left are sent by the next process that runs curator.
func (p *Process) Alerted(ctx context.Context) (bool, error) {
	if len(p.channels) == 0 {
		return true, nil
	}
	limit, cancel := context.WithTimeout(ctx, AlertWait)
	defer cancel()
	ticker := time.NewTicker(settlePoll)
	defer ticker.Stop()
	for {
		told, err := p.Log.Idle(limit, []string{curator.AlertsConsumer})
		switch {
		case told && err == nil:
			return true, nil
		case ctx.Err() != nil:
			return false, ctx.Err()
		case limit.Err() != nil:
			return false, nil
		case err != nil:
			return false, err
		}
		select {
		case <-ticker.C:
		case <-limit.Done():
		}
	}
}

// lookAtAlerts names the channels. Nothing is sent: `blotter alert test` does.
func (o *opener) lookAtAlerts(ctx context.Context) (where, state string, err error) {
	all, err := OpenAlerts(ctx, o.cfg)
	if err != nil {
		return "", "", err
	}
	if len(all) == 0 {
		return "nowhere", "nobody is told when a table waits", nil
	}
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name()
	}
	return strings.Join(names, ", "), "not tried: `blotter alert test` sends one", nil
}
