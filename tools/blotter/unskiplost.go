package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/dms"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// maxLost bounds the files that are taken in again at once: they are listed in memory.
const maxLost = 250_000

// takeLostAgain has all change files of a table taken in again whose rows were lost, oldest
// first. It may be repeated: what was taken in again is not lost any more.
func takeLostAgain(cmd *cobra.Command, at site, table dms.TableID, reason string) error {
	lost, err := lostFiles(cmd.Context(), at, table)
	if err != nil {
		return err
	}
	return order(cmd, false, func(ctx context.Context, c *client) error {
		for batch := range slices.Chunk(lost, lockmanager.MaxUnskipped) {
			request := lockmanager.CommandRequest{Table: table.String(), Reason: reason, Files: batch}
			detail, err := c.command(ctx, "unskip", request)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), detail)
		}
		return nil
	})
}

// lostFiles gives the files whose rows were lost, oldest first.
func lostFiles(ctx context.Context, at site, table dms.TableID) (lost []dms.FileID, err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	state, err := readState(ctx, store, table)
	if err != nil {
		return nil, err
	}
	if state.LossAccepted == 0 {
		return nil, fmt.Errorf("no loss of %s was accepted: see `blotter resume --help`, --accept-loss", table)
	}
	files, err := filesIn(ctx, store, table, maxLost+1, lockmanager.Published)
	if err != nil {
		return nil, err
	}
	if len(files) > maxLost {
		return nil, fmt.Errorf("%s has more than %d published files; have DMS load the table anew", table, maxLost)
	}
	for _, f := range slices.Backward(files) {
		if state.Lost(f) {
			lost = append(lost, f.ID)
		}
	}
	if len(lost) == 0 {
		return nil, fmt.Errorf("no change file of %s is among those whose loss was accepted, or all were taken in again", table)
	}
	return lost, nil
}
