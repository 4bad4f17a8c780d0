package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/tools/internal/roles"
)

func newHealth() *cobra.Command {
	return &cobra.Command{
		Use:   "health --dir DIR",
		Short: "Whether the services that run in a folder do their work",
		Long: `Ask the process of ` + "`blotter run`" + ` or ` + "`blotter up`" + ` that works in the folder whether its services do their
work: all have begun, the NATS server answers it, every event that they are to read is
delivered to them, and the ingress queue, where one is read, has answered of late. It is
for the health check of a container, whose image needs no shell for it, and for whoever
watches a process otherwise.

It exits with 0 if they do, and with 3 if they do not, or if no process answers within
five seconds: it has not come up yet, has ended, or hangs. Right after a start, and where
deliveries were missed, it takes up to a minute until all is delivered: act upon several
answers, not upon one. Files that fail and tables that wait are no fault of a process.`,
		Example: `  blotter health --dir /tmp/blotter`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := cmd.Flags().GetString("dir")
			if err != nil {
				panic(err) // the root defines it
			}
			h, err := roles.AskHealth(cmd.Context(), dir)
			if err != nil {
				return finding(err)
			}
			if len(h.Faults) > 0 {
				return finding(fmt.Errorf("process %d (%s) does not do its work: %w", h.PID, strings.Join(h.Roles, ", "), errors.New(strings.Join(h.Faults, "; "))))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "process %d works: %s\n", h.PID, strings.Join(h.Roles, ", "))
			return nil
		},
	}
}
