package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

func newUnskip() *cobra.Command {
	var reason string
	var lost bool
	cmd := &cobra.Command{
		Use:   "unskip TABLE FILE...",
		Short: "Take files in after all that were skipped, or again whose rows were lost",
		Long: `Take files in after all that ` + "`blotter resume --skip`" + ` gave up: by mistake, or before what
they lacked, such as a column of the registration, was there. ` + "`blotter table show`" + ` lists
them as gaps. A FILE is named by its object, whole or by the last part of its key, or by
its id, or the beginning of it.

Each waits again at its own place in the order, whatever was published since: a later
change of the same row stays, a row that was deleted later does not come back. Of a
transaction file the rows go to their tables. A file that is bad still pauses its table
again.

What is refused: a file of a load that a newer one has replaced, of which nothing is
lacking; a load file once its load is published without it, since it would not replace
the rows that are there (have it written again); and a file whose raw object is not
there any more in the version that was skipped. Put it back, from its copy in the failed
folder: in a folder, or a bucket without versions, the same bytes are the same file.

With --lost it is about change files whose rows the lake has lost, once that was accepted
(blotter resume --accept-loss): all of them, or those that are named. Each is merged once
more at its own place in the order, as if it had not been. Rows of it that were mended are
open again: ` + "`blotter rejected list`" + ` has them. Where the raw version of one is gone, none
comes in unless it is named: what that one changed or deleted would be as before it.`,
		Example: `  blotter unskip rms.reports 20240705-080200000.csv --reason "the column is registered now"
  blotter unskip rms.reports 1f3a5c7e 9b20d4aa --reason "skipped by mistake"
  blotter unskip rms.audit_trail --lost --reason "the catalog was lost"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if lost {
				return cobra.MinimumNArgs(1)(cmd, args)
			}
			return cobra.MinimumNArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			table, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			at := siteOf(cmd)
			if lost && len(args) == 1 {
				return takeLostAgain(cmd, at, table, reason)
			}
			return takeIn(cmd, at, table, args[1:], lost, reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it stands in the log")
	cmd.Flags().BoolVar(&lost, "lost", false, "take change files in again whose rows were lost; all, where none is named")
	return cmd
}

// takeIn has files that are named taken in after all, as far as their raw objects are there.
func takeIn(cmd *cobra.Command, at site, table dms.TableID, names []string, lost bool, reason string) error {
	files, err := pickSkipped(cmd.Context(), at, table, names, lost)
	if err != nil {
		return err
	}
	if err := rawIsThere(cmd.Context(), at, table, files, cmd.ErrOrStderr()); err != nil {
		return err
	}
	request := lockmanager.CommandRequest{Table: table.String(), Reason: reason}
	for _, f := range files {
		request.Files = append(request.Files, f.ID)
	}
	return order(cmd, false, func(ctx context.Context, c *client) error {
		detail, err := c.command(ctx, "unskip", request)
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), detail)
		}
		return err
	})
}

// pickSkipped finds the files that are named, among those that were skipped, or whose rows
// were lost. One that is no gap is given, too: lock-manager
// knows why it is none.
func pickSkipped(ctx context.Context, at site, table dms.TableID, names []string, lost bool) (_ []*lockmanager.File, err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	state, err := readState(ctx, store, table)
	if err != nil {
		return nil, err
	}
	gaps, err := gapsOf(ctx, store, state)
	if err == nil && lost {
		gaps, err = lostIn(ctx, store, state)
	}
	if err != nil {
		return nil, err
	}
	files := make([]*lockmanager.File, len(names))
	for i, name := range names {
		found := namedBy(gaps, name)
		if len(found) == 0 {
			if found, err = noGap(ctx, store, state, name); err != nil {
				return nil, err
			}
		}
		switch {
		case len(found) == 0:
			return nil, fmt.Errorf("table %s lacks no file %q that was skipped; see `blotter table show '%s'%s`", table, name, table, at.flags())
		case len(found) > 1:
			return nil, fmt.Errorf("%q names %d files of %s: %s; name one by its id", name, len(found), table, idsOf(found))
		}
		files[i] = found[0]
	}
	return files, nil
}

// namedBy gives the files that a name may mean: an object's key, the last part of one, or
// an id, or the beginning of it.
func namedBy(files []*lockmanager.File, name string) []*lockmanager.File {
	var found []*lockmanager.File
	for _, f := range files {
		if f.Object.Key == name || path.Base(f.Object.Key) == name || name != "" && strings.HasPrefix(string(f.ID), name) {
			found = append(found, f)
		}
	}
	return found
}

// noGap finds a file by its id that is no gap. One that was skipped, and came in as a
// later version of its object, is refused: both would come in.
func noGap(ctx context.Context, store roles.Store, state *lockmanager.State, id string) ([]*lockmanager.File, error) {
	if id == "" {
		return nil, nil
	}
	rows, err := store.FilesByID(ctx, state.Table, id, maxBegun)
	if err != nil {
		return nil, fmt.Errorf("look for file %s: %w", id, err)
	}
	var found []*lockmanager.File
	for _, row := range rows {
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	if len(found) == 1 && found[0].Status == lockmanager.Skipped && found[0].Mending.IsZero() && state.InForce(found[0]) {
		return nil, fmt.Errorf("%s was written again after this version was skipped, and came in: nothing of it is lacking", found[0].Object.Key)
	}
	return found, nil
}

func idsOf(files []*lockmanager.File) string {
	var ids []string
	for _, f := range files[:min(len(files), maxNamed)] {
		ids = append(ids, shortID(string(f.ID)))
	}
	if len(files) > maxNamed {
		ids = append(ids, "…")
	}
	return strings.Join(ids, ", ")
}

// rawIsThere refuses files whose raw object is not there in the version that was skipped:
// it would be set aside again. Where that cannot be seen from here, it only says so.
func rawIsThere(ctx context.Context, at site, table dms.TableID, files []*lockmanager.File, told io.Writer) (err error) {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	raw, closer, err := roles.OpenRaw(ctx, cfg)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		defer func() { err = errors.Join(err, closer()) }()
	}
	for _, f := range files {
		if f.Status != lockmanager.Skipped && f.Status != lockmanager.Published || !f.Mending.IsZero() {
			continue // it is refused, or lies in the failed bucket
		}
		gone := objects.ErrNotFound
		if raw != nil {
			gone = readable(ctx, raw, f.Object)
		}
		switch {
		case gone == nil:
		case errors.Is(gone, objects.ErrNotFound), errors.Is(gone, objects.ErrChanged):
			return fmt.Errorf("raw object %s is not there any more in that version (%s); nothing was changed. %s",
				f.Object.Key, notThere(gone), putBack(ctx, at, cfg, table, f))
		default:
			fmt.Fprintf(told, "whether %s is still there could not be seen: %v\n", f.Object.Key, gone)
		}
	}
	return nil
}

// readable reports why an object cannot be read in its version; nil if it can.
func readable(ctx context.Context, raw objects.Bucket, o dms.Object) error {
	r, err := raw.Open(ctx, o.Key, objects.Version{ID: o.VersionID, ETag: o.ETag})
	if err != nil {
		return err
	}
	return r.Close()
}

func notThere(err error) string {
	if errors.Is(err, objects.ErrChanged) {
		return "it was written again, which is a file of its own and comes by itself"
	}
	return "it was deleted"
}

// putBack says how to come to the bytes that were skipped.
func putBack(ctx context.Context, at site, cfg roles.Config, table dms.TableID, f *lockmanager.File) string {
	if f.Object.VersionID != "" {
		return "A version that is gone does not come back under its name: have the object written again, which comes by itself"
	}
	if f.Kind == dms.KindLoad {
		return "Have it written again: a load file comes anew then"
	}
	from := "with its bytes"
	if failed, closer, err := openFailed(ctx, at, true); err == nil {
		if _, copied, err := keptOf(ctx, failed, table, f); err == nil && copied != "" {
			from = "from its copy, " + cfg.Where("failed", copied)
		}
		_ = closer()
	}
	return fmt.Sprintf("To have it all the same, put it back %s, and try again", from)
}
