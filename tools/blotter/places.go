package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/tools/internal/roles"
)

func newPlaces() *cobra.Command {
	var create bool
	cmd := &cobra.Command{
		Use:   "places",
		Short: "Where everything is: buckets, control store, hold queue, catalog, NATS",
		Long:  placesHelp(),
		Example: `  blotter places
  BLOTTER_CONTROL=dynamodb://blotter blotter places --raw s3://rms-raw/dms/ --create`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := siteOf(cmd).config()
			if err != nil {
				return err
			}
			return printPlaces(cmd.OutOrStdout(), roles.Look(cmd.Context(), cfg, create))
		},
	}
	addPlaceFlags(cmd.Flags(), false)
	cmd.Flags().BoolVar(&create, "create", false, "make the S3 buckets and the DynamoDB table that are missing")
	return cmd
}

// placesHelp lists the places: this is the one page that tells of them.
func placesHelp() string {
	var b strings.Builder
	b.WriteString(`Show where the system keeps everything, and whether it is there and can be used.

Every command takes where a place is from its flag, else from the environment, else
from what the folder (--dir) remembers of the last ` + "`up`" + ` or ` + "`run`" + ` there. What nothing is
said of lies in that folder.

`)
	for _, p := range roles.PlaceList() {
		fmt.Fprintf(&b, "  --%-8s %-16s %s\n", p.Name, p.Variable(), p.What)
	}
	b.WriteString("\nAs whom the NATS server of --nats is reached; no folder remembers this:\n\n")
	for _, c := range credentialList {
		fmt.Fprintf(&b, "  --%-9s %-17s %s\n", c.name, c.variable(), c.what)
	}
	b.WriteString(`
A raw bucket of S3 should keep versions: its objects are then read in the version that
was told of. Its prefix bounds what is looked for, and stays a part of the keys; of the
others it is where they begin. No place may lie in another one.

Region, credentials and endpoints of AWS come from the usual environment: AWS_REGION,
AWS_PROFILE, AWS_ACCESS_KEY_ID and so on, the role of an ECS task, AWS_ENDPOINT_URL and
its variants for each service. A password for NATS belongs into the environment, not
onto the command line, where others of the machine see it.

With --create, S3 buckets and the DynamoDB table that are missing are made, the raw
bucket so that it keeps versions. Blotter knows the indexes of the table: let it make
that. Buckets get nothing else, no key of yours, no rules, no block of public access: where
they matter, make them as you make all else, before; what is there is left as it is.`)
	return b.String()
}

func printPlaces(out io.Writer, found []roles.Found) error {
	w := newTableWriter(out)
	w.AppendHeader(table.Row{"place", "where", "state"})
	var faults []error
	for _, f := range found {
		state := f.State
		if f.Err != nil {
			state = "see below"
			faults = append(faults, fmt.Errorf("%s: %w", f.Name, f.Err))
		}
		w.AppendRow(table.Row{f.Name, f.Where, state})
	}
	w.Render()
	return errors.Join(faults...)
}
