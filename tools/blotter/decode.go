package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// maxEvent bounds what is read as one event: far more than NATS takes.
const maxEvent = 64 << 20

func newDecode() *cobra.Command {
	var compact bool
	cmd := &cobra.Command{
		Use:   "decode",
		Short: "Turn one event of the log into JSON: stdin to stdout",
		Long: `Read one event as it stands in the log (a protobuf envelope) from stdin and print
it as JSON. It is made for the --translate flag of the nats CLI. ` + "`blotter up`" + `
prints the address to use.`,
		Example: `  nats --server URL stream get BLOTTER 42 --translate "blotter decode"
  nats --server URL sub --stream BLOTTER --all --translate "blotter decode"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxEvent+1))
			if err != nil {
				return fmt.Errorf("read stdin: %w", err)
			}
			return decode(b, compact, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&compact, "compact", false, "print the event in one line")
	return cmd
}

func decode(b []byte, compact bool, out io.Writer) error {
	switch {
	case len(b) == 0:
		return errors.New("stdin is empty; give it the payload of one message of the log")
	case len(b) > maxEvent:
		return fmt.Errorf("stdin holds more than %d bytes: no event is as large", maxEvent)
	}
	envelope, err := eventlog.Decode(b)
	if err != nil || envelope.GetId() == "" || envelope.GetEvent().GetTypeUrl() == "" {
		return errors.New("stdin holds no event of Blotter: it is no blotter.v1.Envelope; give it the payload of one message of the log, unchanged")
	}
	text, err := envelopeJSON(envelope)
	if err != nil {
		return err
	}
	if compact {
		fmt.Fprintln(out, string(text))
		return nil
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return fmt.Errorf("print event %s: %w", envelope.GetId(), err)
	}
	fmt.Fprintln(out, indented.String())
	return nil
}

// envelopeJSON gives an envelope as JSON on one line. The same envelope gives
// the same bytes, which protojson alone does not promise.
func envelopeJSON(envelope *blotterv1.Envelope) ([]byte, error) {
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("event %s of type %s cannot be printed (is this blotter older than the log?): %w",
			envelope.GetId(), envelope.GetEvent().GetTypeUrl(), err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return nil, fmt.Errorf("print event %s: %w", envelope.GetId(), err)
	}
	return out.Bytes(), nil
}
