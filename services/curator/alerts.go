package curator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const (
	// AlertsConsumer names the consumer of what is alerted: a channel that does not
	// answer keeps no table from being published.
	AlertsConsumer = ServiceName + "-alerts"
	// alertAge is how old an event may be for its alert to be sent: beyond, nobody is
	// called for it. It bounds how long a channel is tried, and what is told where
	// alerts are asked for on a log that has a past.
	alertAge = 24 * time.Hour
	// sendTimeout bounds one attempt at one channel.
	sendTimeout = 30 * time.Second
)

// AlertsDeps are what Alerts work with; all are needed.
type AlertsDeps struct {
	Log      Log
	Channels []alert.Channel
	Objects  interface { // what ingest-router has seen
		Object(ctx context.Context, id dms.FileID) (control.ObjectRow, error)
	}
	Now    func() time.Time
	Logger *slog.Logger
}

// Alerts tell people, over some channels, which tables wait for one of them: they are
// paused, a file of theirs is quarantined, rows of one were set aside, or a full load
// waits for a word. Each is sent to each channel at least once; for one table they come
// in order. A channel that refuses an alert, or does not take it for alertAge, is an
// error in the service's own log; the event log has what it was about.
type Alerts struct {
	deps AlertsDeps

	mu   sync.Mutex
	sent map[string]map[alert.Channel]bool // who has taken an alert that others have not yet, by its id
}

// NewAlerts makes them; Run starts them.
func NewAlerts(deps AlertsDeps) *Alerts {
	return &Alerts{deps: deps, sent: map[string]map[alert.Channel]bool{}}
}

// Run sends until ctx ends or something fails for good.
func (a *Alerts) Run(ctx context.Context) error {
	return a.deps.Log.Consume(ctx, eventlog.ConsumerConfig{
		Service: AlertsConsumer, From: []string{"lock-manager", ServiceName},
		Only: map[string][]string{"lock-manager": {"TablePaused", "LoadHeld"}, ServiceName: {"RowsRejected"}},
	}, a.handle)
}

func (a *Alerts) handle(ctx context.Context, r eventlog.Record) error {
	al, ok, err := a.alertOf(ctx, r)
	if err != nil || !ok {
		return err
	}
	defer a.forget(ctx, al.ID, &err)
	late := a.deps.Now().Sub(al.Time) > alertAge
	for _, c := range a.deps.Channels {
		if a.has(al.ID, c) {
			continue
		}
		if late {
			a.deps.Logger.ErrorContext(ctx, "alert not sent: it is too old by now", "alert", al.Title(), "id", al.ID, "channel", c.Name())
			continue
		}
		if failed := a.send(ctx, c, al); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		a.note(al.ID, c)
	}
	return err
}

// send sends one alert to one channel. A refusal is told, and is the end of it.
func (a *Alerts) send(ctx context.Context, c alert.Channel, al alert.Alert) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := c.Send(ctx, al)
	if errors.Is(err, alert.ErrRefused) {
		a.deps.Logger.ErrorContext(ctx, "alert refused", "alert", al.Title(), "id", al.ID, "channel", c.Name(), "error", err)
		return nil
	}
	return err
}

func (a *Alerts) has(id string, c alert.Channel) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent[id][c]
}

func (a *Alerts) note(id string, c alert.Channel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent[id] == nil {
		a.sent[id] = map[alert.Channel]bool{}
	}
	a.sent[id][c] = true
}

// forget drops what is known of an alert that is done with, or will come again to
// another process.
func (a *Alerts) forget(ctx context.Context, id string, err *error) {
	if *err != nil && ctx.Err() == nil {
		return // it is tried again here
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.sent, id)
}

// alertOf makes the alert of an event, if it is worth one.
func (a *Alerts) alertOf(ctx context.Context, r eventlog.Record) (al alert.Alert, ok bool, err error) {
	al = alert.Alert{ID: r.Envelope.GetId(), Time: r.Envelope.GetTime().AsTime(), Table: r.Table.String()}
	switch e := r.Event.(type) {
	case *blotterv1.TablePaused:
		al.Kind, al.Reason, al.Detail = alert.TablePaused, e.GetReason(), e.GetDetail()
		al.Commands = waysOnFrom(r.Table, e)
		if f := e.GetFile(); f != nil {
			file := wire.FileOf(f)
			al.File = fileOf(file.ID, file.Object)
			if e.GetFailure() != nil {
				al.Report = reportFolder(r.Table, file.ID, al.Time) + "/" + reportName
			}
		}
		if f := e.GetFailure(); f != nil {
			al.Failure = &alert.Failure{
				Code: f.GetCode(), Message: f.GetMessage(), Row: f.GetRow(), Column: f.GetColumn(),
				Expected: f.GetExpected(), Hint: f.GetHint(), RowsFailed: f.GetRowsFailed(),
			}
		}
	case *blotterv1.LoadHeld:
		al.Kind, al.Reason, al.Detail = alert.LoadHeld, e.GetReason(), e.GetDetail()
		al.Commands = waysOnWithLoad(r.Table, e.GetReason())
	case *blotterv1.RowsRejected:
		id := dms.FileID(e.GetFileId())
		al.Kind, al.Reason, al.Report = alert.RowsSetAside, "on_bad_row", e.GetReportKey()
		al.Detail = fmt.Sprintf("bad rows of a file were set aside, and its others published: %d", e.GetRows())
		row, err := a.deps.Objects.Object(ctx, id)
		switch {
		case err == nil:
			al.File = fileOf(id, row.Object)
		case errors.Is(err, control.ErrNotFound):
			al.File = &alert.File{ID: string(id)}
		default:
			return al, false, fmt.Errorf("look for the object of file %s: %w", id, err)
		}
		al.Commands = []string{
			fmt.Sprintf("blotter rejected list '%s' --file %s   # what is wrong with them", r.Table, id),
			fmt.Sprintf("blotter rejected export '%s' --file %s -o rows.csv   # then, to mend them: blotter rejected replay", r.Table, id),
		}
	default:
		return al, false, nil
	}
	return al, true, nil
}

func fileOf(id dms.FileID, o dms.Object) *alert.File {
	return &alert.File{ID: string(id), Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID}
}

// waysOnWithLoad gives the commands that let a load go on that is held.
func waysOnWithLoad(table dms.TableID, reason string) []string {
	ways := []string{fmt.Sprintf("blotter table show '%s'   # what the load is held for", table)}
	switch reason {
	case "older":
		ways = append(ways, fmt.Sprintf("blotter load complete '%s' --without-older   # leave out what is older than the load", table))
	case "part":
		return append(ways,
			fmt.Sprintf("blotter load complete '%s' --mended   # put the file into the load that it was given up from", table),
			fmt.Sprintf("blotter load complete '%s' --confirm   # it is the whole of a load, and takes the table's place", table))
	}
	return append(ways, fmt.Sprintf("blotter load complete '%s' --confirm   # go on with the files that are there", table))
}

// waysOnFrom gives the commands that let a table go on after a pause.
func waysOnFrom(table dms.TableID, e *blotterv1.TablePaused) []string {
	switch {
	case e.GetReason() == "late_load_file":
		return []string{
			fmt.Sprintf("blotter load reopen '%s'   # take the file into the load", table),
			fmt.Sprintf("blotter load ignore '%s'   # go on without it", table),
		}
	case e.GetFile() != nil && e.GetFailure() != nil:
		return waysOn(table, wire.FileOf(e.GetFile()), e.GetFailure().GetCode())
	}
	return []string{
		fmt.Sprintf("blotter table show '%s'   # what the table waits for", table),
		fmt.Sprintf("blotter resume '%s'   # once that is seen to", table),
	}
}
