package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// logOptions choose events and how they are printed.
type logOptions struct {
	service, event string
	since, until   string
	file           string
	follow, json   bool
}

func newLog() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:   "log [TABLE]",
		Short: "What happened, in order: the events of a table or of all",
		Long: `Print the events of a table, or of all, in the order of the log, whether a system
runs in the folder or not: when (UTC), the sequence in the log, the table, the
event, the file (the beginning of its id) or token, and what it says. Objects that
belong to no table stand under the table '` + dms.RawTable.String() + `'.

With --json each event is one line: the envelope as JSON, with its sequence and
service.`,
		Example: `  blotter log rms.reports
  blotter log rms.reports --event FilesPublished --since 2h
  blotter log --file 1f3a5c7e                            # the way of one file
  blotter log --service curator --since 2024-03-04T06:00:00Z --json
  blotter log --follow                                   # of a running system, until Ctrl-C`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := o.filter(args, time.Now())
			if err != nil {
				return err
			}
			return printLog(cmd.Context(), siteOf(cmd), f, o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.service, "service", "", "only what this service says: "+strings.Join(speakers(), ", "))
	flags.StringVar(&o.event, "event", "", "only this event, such as FilesPublished")
	flags.StringVar(&o.since, "since", "", "from this time on: 2h or 3d (ago), 2024-03-04, 2024-03-04T06:00:00Z")
	flags.StringVar(&o.until, "until", "", "up to this time, in the same forms")
	flags.StringVar(&o.file, "file", "", "only what belongs to this file, to rows of it that were mended, and of mended rows to their own file: its id, or the beginning of it")
	flags.BoolVarP(&o.follow, "follow", "f", false, "go on with what happens next, on a running system")
	flags.BoolVar(&o.json, "json", false, "print one JSON object per event")
	return cmd
}

// filter reads the options; all faults are reported together.
func (o logOptions) filter(args []string, now time.Time) (eventlog.Filter, error) {
	f := eventlog.Filter{Service: o.service, Event: o.event, Follow: o.follow}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	var err error
	if len(args) > 0 {
		f.Table, err = dms.ParseTableID(args[0])
		note(err)
	}
	if o.service != "" && !slices.Contains(speakers(), o.service) {
		note(fmt.Errorf("--service %q: there are %s", o.service, strings.Join(speakers(), ", ")))
	}
	if o.event != "" && !isEvent(o.event) {
		note(fmt.Errorf("--event %q: there is no such event; its name is a message's of blotter.v1, such as FilesPublished", o.event))
	}
	if o.file != "" && len(o.file) < 6 {
		note(fmt.Errorf("--file %q: give at least six digits of the id", o.file))
	}
	f.From, err = parseTime("--since", o.since, now)
	note(err)
	f.Until, err = parseTime("--until", o.until, now)
	note(err)
	return f, errors.Join(errs...)
}

// speakers are those who say something in the log.
func speakers() []string { return append(roles.Names(), fsck.ServiceName) }

// isEvent reports whether the contract has a message of that name.
func isEvent(name string) bool {
	_, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("blotter.v1." + name))
	return err == nil
}

// parseTime reads a time, or how long ago it was; empty is the zero time.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := parseSpan(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q: expected a time such as 2024-03-04T06:00:00Z, or how long ago, such as 2h or 3d", flag, s)
}

// printLog prints the chosen events.
func printLog(ctx context.Context, at site, f eventlog.Filter, o logOptions, out io.Writer) (err error) {
	c, err := connect(ctx, at, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if f.Follow && c.own {
		return fmt.Errorf("nothing runs in %s, so nothing will happen; start it with `blotter up`, or leave --follow out", at.dir)
	}
	found, way := false, wayOf(o.file)
	if o.file != "" { // an event that is not shown may tell of mended rows
		if err := way.learn(ctx, c.log, f.Table); err != nil {
			return err
		}
		f.Service, f.Event = "", ""
	}
	for r, err := range c.log.Read(ctx, f) {
		if err != nil {
			if f.Follow && ctx.Err() != nil {
				return nil // Ctrl-C is how following ends
			}
			return err
		}
		if o.file != "" && (!way.has(r) || !o.says(r)) {
			continue
		}
		found = true
		if err := printRecord(out, r, f.Table.IsZero(), o.json); err != nil {
			return err
		}
	}
	if !found && !f.Table.IsZero() {
		return nothingSaid(ctx, at, f.Table)
	}
	return nil
}

// nothingSaid tells why no event of a table is shown: there is none that was asked for,
// or none at all.
func nothingSaid(ctx context.Context, at site, table dms.TableID) error {
	if err := knownTable(ctx, at, table); err != nil && table != dms.RawTable {
		return err
	}
	return fmt.Errorf("the log holds no event of table %s that was asked for; without --event, --service, --file, --since "+
		"and --until it shows all of them", table)
}

// says reports whether the event is of the service and of the name that are asked for.
func (o logOptions) says(r eventlog.Record) bool {
	return (o.service == "" || o.service == r.Service) && (o.event == "" || o.event == eventlog.EventName(r.Envelope))
}

// printRecord prints one event; withTable unless all are of one table.
func printRecord(out io.Writer, r eventlog.Record, withTable, asJSON bool) error {
	var line string
	if asJSON {
		b, err := envelopeJSON(r.Envelope)
		if err != nil {
			return err
		}
		line = fmt.Sprintf(`{"seq":%d,"service":%q,%s`, r.Seq, r.Service, b[1:])
	} else {
		line = recordLine(r, withTable)
	}
	if _, err := fmt.Fprintln(out, line); err != nil {
		return fmt.Errorf("print event %d: %w", r.Seq, err)
	}
	return nil
}

// recordLine is one event in one line.
func recordLine(r eventlog.Record, withTable bool) string {
	name := eventlog.EventName(r.Envelope)
	table := ""
	if withTable {
		table = fmt.Sprintf("%-20s ", r.Table)
	}
	says := words(r.Event)
	if r.Event == nil {
		says = "(this blotter is older than the event)"
	}
	if a := r.Envelope.GetActor(); strings.HasPrefix(a, "operator:") {
		says += " by " + strings.TrimPrefix(a, "operator:")
	}
	return strings.TrimRight(fmt.Sprintf("%s %6d %s%-18s %-17s %s",
		r.Stored.UTC().Format("2006-01-02 15:04:05.000"), r.Seq, table, r.Service, name, says), " ")
}

// way is what happens to a file, and to rows of it that an operator mended: those
// come in as files of their own. The way of such a file is that of its own file, too.
type way struct {
	file  string   // the beginning of the id that is asked for
	files []string // it, and the ids of the others
}

func wayOf(file string) *way { return &way{file: file, files: []string{file}} }

// logReader is the log as far as a way needs it.
type logReader interface {
	Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error]
}

// learn reads which files belong to the way: the rows may have been mended before the
// events that are asked for, and their own file always came before them.
func (w *way) learn(ctx context.Context, log logReader, table dms.TableID) error {
	for r, err := range log.Read(ctx, eventlog.Filter{Table: table, Service: ingestrouter.ServiceName, Event: "ObjectArrived"}) {
		if err != nil {
			return fmt.Errorf("look for mended rows of the file: %w", err)
		}
		w.link(r)
	}
	return nil
}

// link takes the files into the way that an event ties together.
func (w *way) link(r eventlog.Record) {
	e, ok := r.Event.(*blotterv1.ObjectArrived)
	if !ok || e.GetMending() == nil {
		return
	}
	own, of := e.GetFileId(), e.GetMending().GetFileId()
	switch {
	case strings.HasPrefix(of, w.file):
		w.add(own)
	case strings.HasPrefix(own, w.file):
		w.add(of)
	}
}

func (w *way) add(id string) {
	if !slices.Contains(w.files, id) {
		w.files = append(w.files, id)
	}
}

// has reports whether an event belongs to the way.
func (w *way) has(r eventlog.Record) bool {
	w.link(r) // while the log is followed, rows may be mended
	return slices.ContainsFunc(w.files, func(file string) bool { return concerns(r, file) })
}

// concerns reports whether an event belongs to the file whose id begins so.
func concerns(r eventlog.Record, file string) bool {
	if strings.HasPrefix(r.Envelope.GetCorrelation(), file) {
		return true
	}
	return r.Event != nil && names(r.Event.ProtoReflect(), file)
}

// names reports whether a field file_id or file_ids of the message, or of one in
// it, begins so.
func names(m protoreflect.Message, file string) bool {
	found := false
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		isID := d.Name() == "file_id" || d.Name() == "file_ids"
		one := func(v protoreflect.Value) bool {
			switch {
			case isID:
				return strings.HasPrefix(v.String(), file)
			case d.Kind() == protoreflect.MessageKind:
				return names(v.Message(), file)
			}
			return false
		}
		if !d.IsList() {
			found = one(v)
			return !found
		}
		for i := 0; i < v.List().Len() && !found; i++ {
			found = one(v.List().Get(i))
		}
		return !found
	})
	return found
}
