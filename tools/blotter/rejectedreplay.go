package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/services/classifier"
	"github.com/openblotter/blotter/services/curator"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// mendOptions say which rows come in.
type mendOptions struct {
	id, drop, reason string
	mended           string // the file with mended rows; empty: none
}

func newRejectedReplay() *cobra.Command {
	var o mendOptions
	cmd := &cobra.Command{
		Use:   "replay TABLE [FILE.csv] --file ID",
		Short: "Bring in rows that were set aside, once they are mended",
		Long: `Bring in rows of a file that were set aside: from a file as ` + "`blotter rejected export`" + `
writes it, with its fields mended. Each row comes at the place in the order that it
has in its own file: a later change to the same key, wherever it came from, wins.

Rows that are left out stay as they are, to be mended another time. Those that
--drop names are given up for good, also where they stand in the file; that needs a
--reason. A row comes in or is dropped once: one of which either is said already is
refused, and so is a number that was not set aside. The same rows asked for again
are no error, and come in once.

A row that is bad still is refused: what is wrong is listed, and nothing comes in,
the good rows of the file neither. Should the registration change before they are
read, the mended file is quarantined like any other, and the table waits: resume it
with --skip, and its rows are open again.

Rows stand by ascending ` + exportRow + `; ` + exportReason + ` is not looked at. Who and why stands in
the log; the mended rows are kept in the failed folder.`,
		Example: `  blotter rejected replay rms.reports rows.csv --file 1f3a5c7e --reason "letters in a fee"
  blotter rejected replay rms.reports rows.csv --file 1f3a5c7e --drop 17,20-25 --reason "test rows"
  blotter rejected replay rms.reports --file 1f3a5c7e --drop 17 --reason "no such report"`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			table, err := dms.ParseTableID(args[0])
			if err != nil {
				return err
			}
			if len(args) > 1 {
				o.mended = args[1]
			}
			return replayRejected(cmd.Context(), siteOf(cmd), table, o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&o.id, "file", "", "the file whose rows they are: its id, or the beginning of it")
	cmd.Flags().StringVar(&o.drop, "drop", "", "rows that are given up, such as 17,20-25")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it stands in the log")
	needsFlag(cmd, "file", "name the file that the rows belong to with --file ID; blotter rejected list TABLE shows the ids")
	return cmd
}

// rowsToDrop reads --drop.
func (o mendOptions) rowsToDrop() (dms.RowSet, error) {
	dropped, err := dms.ParseRowSet(o.drop)
	switch {
	case err != nil:
		return "", fmt.Errorf("--drop: %w", err)
	case dropped.Len() > transform.MaxRejectedRows:
		return "", fmt.Errorf("--drop: %d rows are named, of no file more than %d are set aside", dropped.Len(), transform.MaxRejectedRows)
	case dropped == "" && o.mended == "":
		return "", errors.New("name a file with mended rows, or rows to --drop")
	case dropped != "" && o.reason == "":
		return "", errors.New("rows are given up for good: say why with --reason, it stands in the log")
	}
	return dropped, nil
}

// replayRejected writes the mended file and has ingest-router tell of it.
func replayRejected(ctx context.Context, at site, table dms.TableID, o mendOptions, out io.Writer) error {
	dropped, err := o.rowsToDrop()
	if err != nil {
		return err
	}
	f, err := pickRejected(ctx, at, table, o.id)
	if err != nil {
		return err
	}
	h, err := eachRejected(ctx, at, table, f, func(transform.RejectedHeader, transform.RejectedRow) error { return nil })
	if err != nil {
		return err
	}
	m := &mendedRows{header: h, name: o.mended, dropped: dropped}
	hash := sha256.New()
	if err := m.write(hash); err != nil {
		return err
	}
	name := mendedPrefix + hex.EncodeToString(hash.Sum(nil)[:16])
	if before := f.broughtBy(name); before != nil {
		fmt.Fprintf(out, "these rows came in before, as file %s, which is %s\n", shortID(string(before.ID)), before.Status)
		return nil
	}
	said := f.Mended.With(f.Dropped).With(f.Waiting)
	if twice := m.rows.Set().With(dropped).Both(said); twice != "" {
		return fmt.Errorf("row(s) %s: mended or dropped already, or on the way; see `blotter rejected list '%s' --file %s%s`, and leave them out", twice, table, shortID(string(f.FileID)), at.flags())
	}
	key, err := keepMended(ctx, at, table, path.Join(curator.RejectedFolder(table, f.FileID, h.Token), name), m)
	if err != nil {
		return err
	}
	return bringIn(ctx, at, ingestrouter.ReplayRequest{Actor: operator(), Reason: o.reason, Table: table.String(), Key: key}, out)
}

// bringIn has ingest-router tell of a mended file, and says what it and lock-manager
// answer. Only the latter knows which rows are open, so a stopped system is asked
// that far, too: its word would else come when nobody waits for it.
func bringIn(ctx context.Context, at site, r ingestrouter.ReplayRequest, out io.Writer) (err error) {
	c, err := connect(ctx, at, false, ingestrouter.ServiceName, classifier.ServiceName, lockmanager.ServiceName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	last, err := c.log.Last(ctx)
	if err != nil {
		return err
	}
	var answer ingestrouter.Replayed
	if err := c.request(ctx, ingestrouter.ReplaySubject, r, &answer); err != nil {
		return err
	}
	id := shortID(string(answer.FileID))
	switch {
	case answer.Refused != "":
		return errors.New(answer.Refused + faultLines(answer.Faults))
	case answer.Again:
		fmt.Fprintf(out, "these rows came in before, as file %s\n", id)
		return nil
	}
	see := fmt.Sprintf("see: blotter log '%s' --file %s%s", r.Table, id, at.flags())
	switch refused, err := c.taken(ctx, at, r.Table, answer.FileID, last+1); {
	case err != nil:
		return fmt.Errorf("the rows were told, as file %s; whether they come in is not known yet (%w); %s", id, err, see)
	case refused != "":
		return fmt.Errorf("nothing of it comes in: %s; %s", refused, see)
	}
	fmt.Fprintf(out, "%s mended and %d dropped, as file %s", count(int(answer.Rows.Len()), "row"), answer.Dropped.Len(), id)
	if c.own {
		fmt.Fprint(out, "; they come in when the system runs")
	}
	fmt.Fprintf(out, "; %s\n", see)
	return nil
}

// takenTimeout bounds the wait for lock-manager's word on a file.
const takenTimeout = 30 * time.Second

// taken waits until lock-manager has taken a file, and gives the reason if it
// refuses it. Its word stands in the log at from or behind it.
func (c *client) taken(ctx context.Context, at site, table string, file dms.FileID, from uint64) (refused string, err error) {
	ctx, cancel := context.WithTimeout(ctx, takenTimeout)
	defer cancel()
	id, err := dms.ParseTableID(table)
	if err != nil {
		return "", err
	}
	for rec, err := range c.log.Read(ctx, eventlog.Filter{Table: id, Service: lockmanager.ServiceName, FromSeq: from, Follow: true}) {
		if err != nil {
			return "", err
		}
		switch e := rec.Event.(type) {
		case *blotterv1.FileAccepted:
			if e.GetFile().GetFileId() != string(file) {
				continue
			}
			// What is said is stored, with all that was decided with it.
			if f, err := storedFile(ctx, at, id, file); err != nil || f.Status != lockmanager.Ignored {
				return "", err
			}
		case *blotterv1.FileIgnored:
			if e.GetFileId() == string(file) {
				return e.GetDetail(), nil
			}
		}
	}
	return "", ctx.Err()
}

func storedFile(ctx context.Context, at site, table dms.TableID, id dms.FileID) (_ *lockmanager.File, err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	row, err := store.File(ctx, table, id)
	if err != nil {
		return nil, fmt.Errorf("read the history of file %s: %w", id, err)
	}
	return lockmanager.DecodeFile(row.Body)
}

// maxFaultLines bounds the faults that are printed.
const maxFaultLines = 20

func faultLines(faults []ingestrouter.RowFault) string {
	var b strings.Builder
	for i, f := range faults {
		if i == maxFaultLines {
			fmt.Fprintf(&b, "\n  … and more; mend these, or leave the rows out")
			break
		}
		fmt.Fprintf(&b, "\n  row %d", f.Row)
		if f.Column != "" {
			b.WriteString(", column " + f.Column)
		}
		b.WriteString(": " + f.Code + ", " + f.Message + "; expected " + f.Expected)
	}
	return b.String()
}

// endOfMended ends the names of mended files.
const endOfMended = ".jsonl"

// keepMended writes the mended file into the failed folder, unless it is there; name
// is its key without the end. It gives the key.
func keepMended(ctx context.Context, at site, table dms.TableID, name string, m *mendedRows) (_ string, err error) {
	failed, closer, err := openFailed(ctx, at, false)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, closer()) }()
	key, err := keyOfMended(ctx, at, table, failed, name)
	if err != nil {
		return "", err
	}
	w, err := failed.Create(ctx, key)
	if errors.Is(err, objects.ErrExists) {
		return key, nil
	}
	if err != nil {
		return "", fmt.Errorf("keep the mended rows: %w", err)
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	if err := m.write(w); err != nil {
		return "", err
	}
	if _, err := w.Commit(ctx); err != nil && !errors.Is(err, objects.ErrExists) {
		return "", fmt.Errorf("keep the mended rows: %w", err)
	}
	return key, nil
}

// keyOfMended gives the key for mended rows of this name: that of the last attempt, if
// nothing is known of it yet, which is the same file then; the next one, if that came
// to nothing: the same rows again are another file.
func keyOfMended(ctx context.Context, at site, table dms.TableID, failed objects.Bucket, name string) (string, error) {
	key := func(try int) string {
		if try < 2 {
			return name + endOfMended
		}
		return fmt.Sprintf("%s-%d%s", name, try, endOfMended)
	}
	tries := 0
	for info, err := range failed.List(ctx, name) {
		if err != nil {
			return "", fmt.Errorf("look for earlier attempts to bring in these rows: %w", err)
		}
		n, try := 1, strings.TrimSuffix(strings.TrimPrefix(info.Key, name), endOfMended)
		if try != "" {
			if n, err = strconv.Atoi(strings.TrimPrefix(try, "-")); err != nil {
				continue // no mended file
			}
		}
		tries = max(tries, n)
	}
	if tries == 0 {
		return key(1), nil
	}
	info, err := failed.Stat(ctx, key(tries))
	if err != nil {
		return "", fmt.Errorf("look at the last attempt to bring in these rows: %w", err)
	}
	id := dms.NewFileID(dms.Object{Bucket: failed.Name(), Key: info.Key, VersionID: info.VersionID, ETag: info.ETag}, dms.KindChange)
	switch _, err := storedFile(ctx, at, table, id); {
	case errors.Is(err, control.ErrNotFound):
		return key(tries), nil
	case err != nil:
		return "", err
	}
	return key(tries + 1), nil
}

// mendedRows turns a file as it was exported into a mended file.
type mendedRows struct {
	header  transform.RejectedHeader
	name    string // empty: no rows are mended
	dropped dms.RowSet
	rows    dms.RowSetBuilder // those that were written last
}

func (m *mendedRows) write(out io.Writer) (err error) {
	w, err := transform.NewMendedWriter(out, m.header)
	if err != nil {
		return err
	}
	m.rows = dms.RowSetBuilder{}
	drops := m.dropped.All()
	next := func(before int64) error { // drops rows with lower numbers
		for len(drops) > 0 && (before == 0 || drops[0] < before) {
			if err := w.Write(transform.MendedRow{Row: drops[0], Drop: true}); err != nil {
				return err
			}
			drops = drops[1:]
		}
		return nil
	}
	if m.name != "" {
		in, err := os.Open(m.name)
		if err != nil {
			return fmt.Errorf("read the mended rows: %w", err)
		}
		defer func() { err = errors.Join(err, in.Close()) }()
		if err := m.copy(in, w, next); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return next(0)
}

// copy takes over the rows of the file; next is called before each.
func (m *mendedRows) copy(in io.Reader, w *transform.MendedWriter, next func(int64) error) error {
	r := dms.NewCSVReader(in, dms.CSVOptions{})
	first, err := r.Read()
	if err != nil {
		return fmt.Errorf("read the line with the names: %w", err)
	}
	before, err := m.checkNames(first)
	if err != nil {
		return err
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		number, err := strconv.ParseInt(string(bytes.TrimSpace(record.Field(0).Text)), 10, 64)
		if err != nil || number < 1 {
			return fmt.Errorf("line %d: %s is no row number", record.Row(), exportRow)
		}
		if m.dropped.Contains(number) {
			continue
		}
		if got, want := record.Len()-before, len(m.header.Columns); got != want {
			return fmt.Errorf("row %d has %d fields, its file has %d columns", number, got, want)
		}
		if err := next(number); err != nil {
			return err
		}
		row := transform.MendedRow{Row: number}
		for i := before; i < record.Len(); i++ {
			f := record.Field(i)
			if text := string(f.Text); f.Quoted || text != m.header.Null {
				row.Fields = append(row.Fields, &text)
			} else {
				row.Fields = append(row.Fields, nil)
			}
		}
		if err := w.Write(row); err != nil {
			return err
		}
		m.rows.Add(number)
	}
}

// checkNames compares the first line with the columns of the file, and gives how
// many of its own columns stand before them.
func (m *mendedRows) checkNames(first dms.Record) (before int, err error) {
	name := func(i int) string {
		if i < first.Len() {
			return string(first.Field(i).Text)
		}
		return ""
	}
	if name(0) != exportRow {
		return 0, fmt.Errorf("the first column is not %s; write the file as `blotter rejected export` does", exportRow)
	}
	before = 1
	if name(1) == exportReason {
		before = 2
	}
	for i, c := range m.header.Columns {
		if name(before+i) != c.Name {
			return 0, fmt.Errorf("column %d is not %s: columns stand as `blotter rejected export` writes them", before+i+1, c.Name)
		}
	}
	if n := before + len(m.header.Columns); first.Len() != n {
		return 0, fmt.Errorf("%d columns, expected %d", first.Len(), n)
	}
	return before, nil
}
