package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

func newNotify() *cobra.Command {
	return &cobra.Command{
		Use:   "notify FILE",
		Short: "Tell of objects by a notification of S3 or EventBridge",
		Long: `Tell of the objects that a notification names, as its arrival would have: an event
notification of S3, an "Object Created" or "Object Deleted" event of EventBridge,
or messages of SQS or SNS that hold them. FILE is its JSON, - the standard input.
Size, ETag and time are those of the raw bucket, whatever the event says; what was
told before is written into the log as a repetition. It ends with exit code 1 if
anything could not be told. A message by which a workflow of Step Functions waits for
its file is none of them: it goes to the ingress queue again, which ends the workflow.`,
		Example: `  blotter notify event.json
  aws sqs receive-message --queue-url "$QUEUE" --query 'Messages[0].Body' --output text | blotter notify -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			data, err := readNotification(cmd, args[0])
			if err != nil {
				return err
			}
			c, err := connect(cmd.Context(), siteOf(cmd), false, ingestrouter.ServiceName)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.close()) }()
			var n ingestrouter.Notified
			if err := c.request(cmd.Context(), ingestrouter.NotifySubject, data, &n); err != nil {
				return err
			}
			for _, told := range n.Told {
				fmt.Fprintln(cmd.OutOrStdout(), sayTold(told))
			}
			if len(n.Faults) > 0 {
				return errors.New(strings.Join(n.Faults, "\n"))
			}
			return nil
		},
	}
}

func readNotification(cmd *cobra.Command, name string) (json.RawMessage, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the notification: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, ingestrouter.MaxNotification+1))
	if err != nil {
		return nil, fmt.Errorf("read the notification: %w", err)
	}
	if len(data) > ingestrouter.MaxNotification {
		return nil, fmt.Errorf("%s: a notification has at most %d bytes", name, ingestrouter.MaxNotification)
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("%s is no JSON", name)
	}
	if ingestrouter.OfWorkflow(data) {
		return nil, fmt.Errorf("%s is a message by which a workflow waits for its file, and holds its token: send it to the ingress queue again, "+
			"as it is, which tells of the object and ends the workflow (aws sqs start-message-move-task, or send-message)", name)
	}
	return data, nil
}

func sayTold(t ingestrouter.Told) string {
	what := t.Event
	if t.Key != "" {
		what += " " + t.Key
	}
	if t.VersionID != "" {
		what += " version " + t.VersionID
	}
	return strings.TrimSpace(shortID(string(t.ID)) + " " + parts(what, t.Detail))
}
