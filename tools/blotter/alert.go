package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// testTimeout bounds a test alert on one channel.
const testTimeout = 30 * time.Second

func newAlert() *cobra.Command {
	c := &cobra.Command{
		Use:   "alert",
		Short: "Tell people that a table waits for one of them",
		Long: `Where --alerts (BLOTTER_ALERTS) names channels, curator tells each of them when a table
is paused, a file is quarantined, rows were set aside, or a full load waits for a word:
which table and file, why, where the report lies, and the commands that go on.

A channel is the ARN of a topic of Amazon SNS, or of a bus of Amazon EventBridge, or the
https address of a webhook, which gets JSON with a text that chat programs show. The
address of a webhook is a secret: give it in BLOTTER_ALERTS, not on the command line.
Several stand with commas between. Each alert comes at least once; one that comes twice
has the same id. A channel that does not answer is tried for a day.`,
		Example: `  BLOTTER_ALERTS=arn:aws:sns:eu-west-1:111122223333:blotter blotter alert test`,
		Args:    cobra.NoArgs,
		RunE:    wantsSubcommand,
	}
	test := &cobra.Command{
		Use:     "test",
		Short:   "Send an alert of no table to every channel",
		Long:    `Send an alert of no table to every channel, and say which of them took it.`,
		Example: `  blotter alert test --alerts arn:aws:events:eu-west-1:111122223333:event-bus/operations`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := siteOf(cmd).config()
			if err != nil {
				return err
			}
			if err := cfg.Places.Validate(); err != nil {
				return err
			}
			channels, err := roles.OpenAlerts(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if len(channels) == 0 {
				return errors.New("no channel is named: give --alerts or BLOTTER_ALERTS, see `blotter alert --help`")
			}
			now := time.Now().UTC()
			a := alert.Alert{
				ID: "test-" + now.Format("20060102T150405.000000Z"), Time: now, Kind: alert.Test, Table: "none", Reason: "test",
				Detail: "a test of this channel by " + operator() + "; nothing is wrong", Commands: []string{},
			}
			return sendAll(cmd, channels, a)
		},
	}
	addPlaceFlags(test.Flags(), true)
	test.Flags().Lookup("alerts").Hidden = false
	c.AddCommand(test)
	return c
}

// sendAll sends an alert to all channels, whatever becomes of the others.
func sendAll(cmd *cobra.Command, channels []alert.Channel, a alert.Alert) error {
	var faults []error
	for _, c := range channels {
		ctx, cancel := context.WithTimeout(cmd.Context(), testTimeout)
		err := c.Send(ctx, a)
		cancel()
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", c.Name(), err))
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s took alert %s\n", c.Name(), a.ID)
	}
	return errors.Join(faults...)
}
