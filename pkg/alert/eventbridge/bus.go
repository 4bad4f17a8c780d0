package eventbridge

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/openblotter/blotter/pkg/alert"
)

// Source is the source of all events.
const Source = "blotter"

// Bus puts events on one bus.
type Bus struct {
	client *awseventbridge.Client
	arn    string
}

var _ alert.Channel = (*Bus)(nil)

// New makes a channel; it asks nothing of AWS yet.
func New(client *awseventbridge.Client, arn string) *Bus { return &Bus{client, arn} }

// Name implements alert.Channel.
func (b *Bus) Name() string { return "bus " + b.arn }

// refused are the codes of entries that no repetition mends.
var refused = map[string]bool{"InvalidArgument": true, "MalformedDetail": true, "NotAuthorizedForSourceException": true}

// Send implements alert.Channel.
func (b *Bus) Send(ctx context.Context, a alert.Alert) error {
	detail, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode alert %s: %w", a.ID, err)
	}
	out, err := b.client.PutEvents(ctx, &awseventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &b.arn, Source: aws.String(Source), DetailType: &a.Kind,
		Detail: aws.String(string(detail)), Time: &a.Time,
	}}})
	if err != nil {
		return fmt.Errorf("put an event on %s: %w", b.Name(), err)
	}
	for _, e := range out.Entries {
		code := aws.ToString(e.ErrorCode)
		switch {
		case code == "":
		case refused[code]:
			return fmt.Errorf("put an event on %s: %s: %s: %w", b.Name(), code, aws.ToString(e.ErrorMessage), alert.ErrRefused)
		default:
			return fmt.Errorf("put an event on %s: %s: %s", b.Name(), code, aws.ToString(e.ErrorMessage))
		}
	}
	return nil
}
