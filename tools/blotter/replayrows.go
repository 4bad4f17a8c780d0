package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/tools/internal/rebuild"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// rowsOptions say how rows are rebuilt and told.
type rowsOptions struct {
	out        string
	limit      int
	showValues bool
	json       bool
}

// sorterMemory is what each of the two sorters of a comparison may hold.
const sorterMemory = 64 << 20

// replayedRows is what `replay --rows --json` gives for a table.
type replayedRows struct {
	Table dms.TableID `json:"table"`
	// Seq is the last event of the log that counts, At when the rows were published.
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at,omitzero"`
	// Snapshot is the one that was compared; 0 if none of that time is left.
	Snapshot int64 `json:"snapshot,omitempty"`
	// Published are the live rows by the log.
	Published   int64               `json:"published_rows"`
	RebuiltRows int64               `json:"rebuilt_rows"`
	Rebuilt     *rebuild.Rebuilt    `json:"rebuilt,omitempty"`
	Comparison  *rebuild.Comparison `json:"comparison,omitempty"`
	// RowsHash is the hash of the rebuilt rows, where it was compared with that in the log.
	RowsHash string `json:"rows_hash,omitempty"`
	Verdict  string `json:"verdict"`
	Equal    bool   `json:"equal"`
}

// errRowsDiffer ends a replay of rows that did not give what the lake has.
var errRowsDiffer = finding(errors.New("not every row could be proven; what is wrong is listed above"))

// replayRows rebuilds and compares tables, one after the other.
func replayRows(ctx context.Context, at site, f eventlog.Filter, o rowsOptions, out, progress io.Writer) (err error) {
	c, stores, closer, err := openAudit(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	into, keep, err := copyIn(ctx, o.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keep()) }()
	tables := []dms.TableID{f.Table}
	if f.Table.IsZero() {
		if tables, err = publishedTables(ctx, c.log, f); err != nil {
			return err
		}
	}
	if len(tables) == 0 && !o.json {
		fmt.Fprintln(out, "the log tells of no publication up to then: there are no rows")
	}
	all := []replayedRows{}
	equal := true
	var blind error
	for _, id := range tables {
		f.Table = id
		one, err := replayTableRows(ctx, c.log, stores, into, f, o, progress)
		if err != nil && (ctx.Err() != nil || len(tables) == 1) {
			return err
		}
		if err != nil { // the other tables can be looked at
			one.Verdict, one.Equal = fmt.Sprintf("it could not be looked at: %v", err), false
			blind = errors.Join(blind, err)
		}
		all = append(all, one)
		equal = equal && (one.Equal || err != nil)
		if !o.json {
			one.print(out, o)
		}
	}
	if o.json {
		if err := printJSON(out, all); err != nil {
			return err
		}
	}
	if !equal {
		return errRowsDiffer
	}
	return blind
}

// copyIn makes the lake that is filled: in the folder that was named, or in one that
// is gone afterwards. keep closes it.
func copyIn(ctx context.Context, dir string) (into *roles.Copy, keep func() error, err error) {
	if dir != "" {
		into, err = roles.NewCopy(ctx, dir, newLogger(false))
		if errors.Is(err, roles.ErrNotEmpty) {
			err = fmt.Errorf("--out: %w", err)
		}
		if err != nil {
			return nil, nil, err
		}
		return into, into.Close, nil
	}
	if dir, err = os.MkdirTemp("", "blotter-replay-"); err != nil {
		return nil, nil, fmt.Errorf("make a folder for the rebuilt table: %w", err)
	}
	remove := func() error { return os.RemoveAll(dir) }
	if into, err = roles.NewCopy(ctx, dir, newLogger(false)); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return into, func() error { return errors.Join(into.Close(), remove()) }, nil
}

// publishedTables lists the tables of which the log tells a publication.
func publishedTables(ctx context.Context, log *eventlog.Log, f eventlog.Filter) ([]dms.TableID, error) {
	f.Service, f.Event = "", "FilesPublished"
	seen := map[dms.TableID]bool{}
	for r, err := range log.Read(ctx, f) {
		if err != nil {
			return nil, err
		}
		seen[r.Table] = true
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b dms.TableID) int { return strings.Compare(a.String(), b.String()) }), nil
}

func replayTableRows(ctx context.Context, log *eventlog.Log, stores *roles.Stores, into *roles.Copy, f eventlog.Filter, o rowsOptions, progress io.Writer) (replayedRows, error) {
	out := replayedRows{Table: f.Table}
	h, err := rebuild.ReadHistory(ctx, log, f)
	if err != nil {
		return out, err
	}
	if len(h.Publications) == 0 {
		return out, fmt.Errorf("the log tells of no publication of table %s up to then; see `blotter log %s --event FilesPublished`", f.Table, f.Table)
	}
	out.Seq, out.At, out.Published = h.Last, h.Publications[len(h.Publications)-1].Time.UTC(), h.Rows
	cfg := rebuild.DefaultConfig()
	cfg.Transform.ScratchDir, cfg.Findings = into.Scratch, o.limit
	shown := time.Now()
	out.Rebuilt, err = rebuild.Run(ctx, cfg, rebuild.Deps{
		Raw: stores.Raw, Staging: stores.Staging, Failed: stores.Failed, Into: into.Lake, Scratch: into.Staging,
		Progress: func(done, all int) {
			if time.Since(shown) > linesEvery {
				shown = time.Now()
				fmt.Fprintf(progress, "%s: %d of %s\n", f.Table, done, count(all, "file"))
			}
		},
	}, h)
	if err != nil {
		return out, err
	}
	if err := out.compare(ctx, stores, into, h, o); err != nil {
		if !lake.Damaged(err) {
			return out, err
		}
		out.Verdict = fmt.Sprintf("its rows cannot be compared with those of the lake: %v; `blotter fsck` tells what to do", err)
	}
	if past := !f.Until.IsZero() || f.UntilSeq > 0; !past && out.Equal && stores.Lake != nil {
		return out, out.isCurrent(ctx, stores.Lake, h)
	}
	return out, nil
}

// isCurrent takes the verdict back where the table does not show the snapshot that was
// compared, nor a newer one, since somebody has made an older one the current one.
func (r *replayedRows) isCurrent(ctx context.Context, l *lake.Lake, h *rebuild.History) error {
	current, err := l.CurrentSnapshot(ctx, r.Table)
	if err != nil {
		return fmt.Errorf("look which snapshot of %s is the current one: %w", r.Table, err)
	}
	token, err := l.Token(ctx, r.Table)
	if err != nil || token > h.Token || slices.ContainsFunc(h.Snapshots, func(s rebuild.Snapshot) bool { return s.ID == current }) {
		return err
	}
	r.Verdict, r.Equal = fmt.Sprintf("the rows of snapshot %d are those of the log, but somebody has made another one the current one, %d: the table shows the rows of that; "+
		"`blotter fsck` tells what to do", r.Snapshot, current), false
	return nil
}

// compare finds the newest snapshot with the rows of then, and holds them together.
func (r *replayedRows) compare(ctx context.Context, stores *roles.Stores, into *roles.Copy, h *rebuild.History, o rowsOptions) error {
	if r.Rebuilt.Snapshot == 0 {
		r.Verdict = "nothing of it could be rebuilt"
		return nil
	}
	made, err := into.Lake.RowsAt(ctx, r.Table, r.Rebuilt.Snapshot)
	if err != nil {
		return err
	}
	r.RebuiltRows = made.Live()
	var there *lake.RowSet
	for i := len(h.Snapshots) - 1; i >= 0 && there == nil && stores.Lake != nil; i-- {
		there, err = stores.Lake.RowsAt(ctx, r.Table, h.Snapshots[i].ID)
		switch {
		case err == nil:
			r.Snapshot = h.Snapshots[i].ID
		case errors.Is(err, lake.ErrNoTable), errors.Is(err, lake.ErrNoSnapshot):
		default:
			return err
		}
	}
	lost := ""
	if there == nil {
		if lost, there, err = r.lost(ctx, stores.Lake, h); err != nil {
			return err
		}
		switch {
		case lost == "":
			return r.compareExpired(ctx, h, made)
		case there == nil:
			r.Verdict = lost
			return nil
		}
	}
	r.Comparison, err = rebuild.Compare(ctx, rebuild.CompareConfig{
		Key: h.Spec().PrimaryKey, Limit: o.limit, ShowValues: o.showValues, Memory: sorterMemory, ScratchDir: into.Scratch,
	}, made, there, r.Rebuilt)
	if err != nil {
		return err
	}
	switch {
	case lost != "":
		r.Verdict = lost
	case !r.Comparison.Equal():
		r.Verdict = "rows differ"
	case !r.Rebuilt.Faultless():
		r.Verdict = "every row is the same, but not every file is as the log says"
	default:
		r.Verdict, r.Equal = "equal", true
	}
	return nil
}

// lost tells why a snapshot that the lake does not have cannot have expired, with the rows
// that the table has in its place; empty if it can. The newest one of a table never does.
func (r *replayedRows) lost(ctx context.Context, l *lake.Lake, h *rebuild.History) (why string, now *lake.RowSet, err error) {
	newest := h.Snapshots[len(h.Snapshots)-1].ID
	gone := fmt.Sprintf("the lake has no such table, although token %d made snapshot %d by the log: it was dropped, or the catalog is not the one of then", h.Token, newest)
	if l == nil {
		return gone, nil, nil
	}
	token, err := l.Token(ctx, r.Table)
	if errors.Is(err, lake.ErrNoTable) {
		return gone, nil, nil
	}
	if err != nil || token > h.Token {
		return "", nil, err
	}
	why = fmt.Sprintf("the table was set back: by the log token %d made snapshot %d, which it does not have", h.Token, newest)
	current, err := l.CurrentSnapshot(ctx, r.Table)
	if err == nil {
		now, err = l.RowsAt(ctx, r.Table, current)
	}
	switch {
	case errors.Is(err, lake.ErrNoSnapshot):
		return why, nil, nil
	case err != nil:
		return "", nil, err
	}
	r.Snapshot = current
	return why + "; below it is compared as it is now", now, nil
}

// compareExpired judges by what the log holds of a snapshot that has expired: its number
// of rows, and a hash of where they came from. Which rows differ, nothing can tell then.
func (r *replayedRows) compareExpired(ctx context.Context, h *rebuild.History, made *lake.RowSet) error {
	if r.RebuiltRows != r.Published {
		r.Verdict = fmt.Sprintf("rows differ: the snapshot has expired, and had %s by the log", count(int(r.Published), "row"))
		return nil
	}
	if h.RowsHash == "" {
		r.Verdict = "the snapshot has expired, and the log holds no hash of its rows: only their number could be compared, and it is the same"
		return nil
	}
	hash, err := made.Hash(ctx)
	if err != nil {
		return err
	}
	r.RowsHash = hash.String()
	switch {
	case r.RowsHash != h.RowsHash:
		r.Verdict = "rows differ: the snapshot has expired, and the log holds another hash of its rows"
	case !r.Rebuilt.Faultless():
		r.Verdict = "the snapshot has expired; the log holds the hash of the same rows, but not every file is as the log says"
	default:
		r.Verdict, r.Equal = "equal to the hash of the rows in the log; the snapshot has expired", true
	}
	return nil
}

func (r *replayedRows) print(out io.Writer, o rowsOptions) {
	if r.Rebuilt == nil {
		fmt.Fprintf(out, "%s: %s\n", r.Table, r.Verdict)
		return
	}
	fmt.Fprintf(out, "%s as of event %d of the log, published %s: %s\n", r.Table, r.Seq, longTime(r.At), r.Verdict)
	fmt.Fprintf(out, "  %s rebuilt from %s; for %d of them the staged bytes have the hash in the log\n",
		count(int(r.RebuiltRows), "row"), count(r.Rebuilt.Files, "file"), r.Rebuilt.Identical)
	if r.Comparison != nil {
		fmt.Fprintf(out, "  snapshot %d has %s\n", r.Snapshot, count(int(r.Comparison.LakeRows), "row"))
	}
	r.Rebuilt.Print(out)
	if c := r.Comparison; c != nil && !c.Equal() {
		fmt.Fprintf(out, "  %d missing in the lake, %d in the lake alone, %d different; %d of them from files of which nothing is left\n",
			c.Missing, c.Surplus, c.Different, c.Unproven)
		for _, d := range c.Differences {
			printDifference(out, d)
		}
		if n := c.Missing + c.Surplus + c.Different - int64(len(c.Differences)); n > 0 {
			fmt.Fprintf(out, "    and %d more; --limit N lists more of them\n", n)
		}
	}
	if o.out != "" {
		fmt.Fprintf(out, "  the rebuilt table lies in %s: blotter cat '%s' --dir %s\n", o.out, r.Table, o.out)
	}
}

// differenceWords say what is the matter with a row.
var differenceWords = map[string]string{
	rebuild.Missing: "is missing in the lake", rebuild.Surplus: "is in the lake alone", rebuild.Different: "differs",
}

func printDifference(out io.Writer, d *rebuild.Difference) {
	var key []string
	for _, k := range d.Key {
		key = append(key, k.Column+"="+k.Value)
	}
	name := strings.Join(key, ", ")
	if name == "" {
		name = "the row"
	}
	fmt.Fprintf(out, "    %s %s:", name, differenceWords[d.Kind])
	sep := " "
	for _, side := range []struct {
		what string
		at   *rebuild.Place
	}{{"by the files", d.Rebuilt}, {"in the lake", d.Lake}} {
		if side.at != nil {
			fmt.Fprintf(out, "%s%s it is row %d of file %s", sep, side.what, side.at.Row, shortID(string(side.at.File)))
			sep = ", "
		}
	}
	if d.Unproven {
		fmt.Fprint(out, ", of which nothing is left")
	}
	fmt.Fprintln(out)
	for _, c := range d.Columns {
		fmt.Fprintf(out, "      %s", c.Column)
		if c.Rebuilt != nil || c.Lake != nil {
			fmt.Fprintf(out, ": %s by the files, %s in the lake", shownValue(c.Rebuilt), shownValue(c.Lake))
		}
		fmt.Fprintln(out)
	}
}

func shownValue(v *string) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *v)
}
