package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// maxLost bounds the files that are taken in again at once: they are listed in memory.
const maxLost = 250_000

// maxLooks bounds the raw versions that are looked for at once.
const maxLooks = 16

// takeLostAgain has all change files of a table taken in again whose rows were lost, oldest
// first. It may be repeated: what was taken in again is not lost any more.
func takeLostAgain(cmd *cobra.Command, at site, table dms.TableID, reason string) error {
	lost, err := lostFiles(cmd.Context(), at, table)
	if err != nil {
		return err
	}
	if err := allRaw(cmd.Context(), at, table, lost, cmd.ErrOrStderr()); err != nil {
		return err
	}
	return order(cmd, false, func(ctx context.Context, c *client) error {
		for batch := range slices.Chunk(lost, lockmanager.MaxUnskipped) {
			request := lockmanager.CommandRequest{Table: table.String(), Reason: reason}
			for _, f := range batch {
				request.Files = append(request.Files, f.ID)
			}
			detail, err := c.command(ctx, "unskip", request)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), detail)
		}
		return nil
	})
}

// allRaw refuses to take files in again of which the raw version of any is gone: what that
// one changed or deleted would be as before it. Mended rows lie in the failed bucket.
func allRaw(ctx context.Context, at site, table dms.TableID, files []*lockmanager.File, told io.Writer) (err error) {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	raw, closer, err := roles.OpenRaw(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	found := make([]error, len(files)) // why each is not there
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxLooks)
	for i, f := range files {
		if !f.Mending.IsZero() {
			continue
		}
		group.Go(func() error {
			why := readable(ctx, raw, f.Object)
			if why == nil || errors.Is(why, objects.ErrNotFound) || errors.Is(why, objects.ErrChanged) {
				found[i] = why
				return nil
			}
			return fmt.Errorf("look for %s: %w", f.Object.Key, why)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	gone := 0
	for i, why := range found {
		if why == nil {
			continue
		}
		if gone++; gone <= maxNamed {
			fmt.Fprintf(told, "%s is not there any more in the version that was taken in (%s)\n", files[i].Object.Key, notThere(why))
		}
	}
	if gone == 0 {
		return nil
	}
	return finding(fmt.Errorf("of %s the raw version is gone, and nothing was taken in: what a file changed or deleted that is gone would be as before it. "+
		"Put them back, or have DMS load the table anew; or name those of the others that are to come in all the same: blotter unskip '%s' FILE... --lost%s "+
		"(rows that were mended come in with the file that they are of, and not without it)",
		count(gone, "file"), table, at.flags()))
}

// lostFiles gives the files whose rows were lost, oldest first.
func lostFiles(ctx context.Context, at site, table dms.TableID) (lost []*lockmanager.File, err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	state, err := readState(ctx, store, table)
	if err != nil {
		return nil, err
	}
	if len(state.Losses) == 0 {
		return nil, fmt.Errorf("no loss of %s was accepted: see `blotter resume --help`, --accept-loss", table)
	}
	if lost, err = lostIn(ctx, store, state); err != nil {
		return nil, err
	}
	if len(lost) == 0 {
		return nil, fmt.Errorf("no change file of %s is among those whose loss was accepted, or all were taken in again", table)
	}
	return lost, nil
}

// lostIn is lostFiles of a state.
func lostIn(ctx context.Context, store control.Store, state *lockmanager.State) (lost []*lockmanager.File, err error) {
	files, err := filesIn(ctx, store, state.Table, maxLost+1, lockmanager.Published)
	if err != nil {
		return nil, err
	}
	if len(files) > maxLost {
		return nil, fmt.Errorf("%s has more than %d published files; have DMS load the table anew", state.Table, maxLost)
	}
	for _, f := range files { // mended rows come by themselves or not, as their file does
		state.Files[f.ID] = f
	}
	for _, f := range slices.Backward(files) {
		if state.Lost(f) {
			lost = append(lost, f)
		}
	}
	return lost, nil
}
