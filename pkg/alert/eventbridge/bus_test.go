package eventbridge

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/alert/alerttest"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
)

// bus makes a bus whose events of ours go to a queue, for one test.
func bus(t *testing.T, client *awseventbridge.Client, queue *awstest.Queue) string {
	t.Helper()
	name := awstest.Name(t)
	made, err := client.CreateEventBus(t.Context(), &awseventbridge.CreateEventBusInput{Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	rule := "to-the-queue"
	t.Cleanup(func() {
		ctx := context.Background()
		if _, err := client.RemoveTargets(ctx, &awseventbridge.RemoveTargetsInput{EventBusName: &name, Rule: &rule, Ids: []string{"queue"}}); err != nil {
			t.Error(err)
		}
		if _, err := client.DeleteRule(ctx, &awseventbridge.DeleteRuleInput{EventBusName: &name, Name: &rule}); err != nil {
			t.Error(err)
		}
		if _, err := client.DeleteEventBus(ctx, &awseventbridge.DeleteEventBusInput{Name: &name}); err != nil {
			t.Error(err)
		}
	})
	if _, err := client.PutRule(t.Context(), &awseventbridge.PutRuleInput{
		EventBusName: &name, Name: &rule, EventPattern: aws.String(`{"source":["` + Source + `"],"detail-type":["` + alert.TablePaused + `"]}`),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutTargets(t.Context(), &awseventbridge.PutTargetsInput{
		EventBusName: &name, Rule: &rule, Targets: []types.Target{{Id: aws.String("queue"), Arn: &queue.ARN}},
	}); err != nil {
		t.Fatal(err)
	}
	return aws.ToString(made.EventBusArn)
}

func TestBus(t *testing.T) {
	cfg := awstest.Config(t)
	client := awseventbridge.NewFromConfig(cfg)
	queue := awstest.NewQueue(t, cfg, "events.amazonaws.com")
	arn := bus(t, client, queue)
	alerttest.Run(t, alerttest.Site{Channel: New(client, arn), Taken: func(t *testing.T) alert.Alert {
		t.Helper()
		var event struct {
			Time   time.Time
			Detail alert.Alert
		}
		if err := json.Unmarshal([]byte(queue.Receive(t)), &event); err != nil {
			t.Fatal(err)
		}
		if !awstest.StandIn() && !event.Time.Equal(event.Detail.Time) {
			t.Errorf("the event is of %s, the alert of %s", event.Time, event.Detail.Time)
		}
		return event.Detail
	}})
}
