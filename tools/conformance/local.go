package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nuid"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/cases"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// actor is who the runner's commands come from.
const actor = "operator:conformance"

// local is the whole system in this process: all services, an embedded NATS
// server, SQLite, folders.
type local struct {
	process *roles.Process
	flag    registry.Flag // of all tables
	raw     string
	stop    func() error
	failed  <-chan struct{}
}

func newLocal(ctx context.Context, dir string) (Pipeline, error) {
	return openLocal(ctx, dir, registry.FlagLambda, roles.DefaultConfig())
}

// openLocal opens the system with one flag for all tables.
func openLocal(ctx context.Context, dir string, flag registry.Flag, cfg roles.Config) (Pipeline, error) {
	cfg.Dir = dir
	p, err := roles.Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return nil, err
	}
	l := &local{process: p, flag: flag, raw: filepath.Join(dir, "raw")}
	l.stop, l.failed = p.Start(context.WithoutCancel(ctx))
	return l, nil
}

// Close stops the system.
func (l *local) Close() error { return errors.Join(l.stop(), l.process.Close()) }

// Register applies the registrations.
func (l *local) Register(ctx context.Context, tables []registry.Table) error {
	for _, t := range tables {
		t.Flag = l.flag
		if err := l.command(ctx, "apply", lockmanager.CommandRequest{Table: t.ID.String(), Spec: &t}); err != nil {
			return err
		}
	}
	// Only with the registrations in force does an object find its table.
	return l.Settle(ctx)
}

func (l *local) command(ctx context.Context, name string, r lockmanager.CommandRequest) error {
	r.ID, r.Actor, r.Reason = nuid.Next(), actor, "conformance"
	reply, err := l.process.LockManager.Execute(ctx, name, r)
	if err != nil {
		return err
	}
	if reply.Refused != "" {
		return errors.New(reply.Refused)
	}
	return nil
}

// Deliver puts the object and tells ingest-router of it, as an event source would.
func (l *local) Deliver(ctx context.Context, d Delivery) (dms.FileID, error) {
	key, err := d.key()
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(key, "/") {
		return l.offerFolder(ctx, key, d)
	}
	if !d.Redeliver {
		if err := l.put(d); err != nil {
			return "", err
		}
	}
	info, err := l.process.Raw.Stat(ctx, key)
	if err != nil {
		return "", err
	}
	return l.process.IngestRouter.Offer(ctx, dms.Object{
		Bucket: l.process.Raw.Name(), Key: key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC(),
	}, ingestrouter.FromEvent)
}

// offerFolder tells of an object that stands for a folder. A folder holds no such
// object; what its bucket would tell of it is all that there is to know.
func (l *local) offerFolder(ctx context.Context, key string, d Delivery) (dms.FileID, error) {
	return l.process.IngestRouter.Offer(ctx, dms.Object{
		Bucket: l.process.Raw.Name(), Key: key, ETag: d.ETag, LastModified: d.LastModified.UTC(),
	}, ingestrouter.FromEvent)
}

// put writes the object in place, as DMS overwrites a LOAD file. The path keeps
// to the key: the cases' keys are paths.
func (l *local) put(d Delivery) error {
	name := filepath.Join(l.raw, filepath.FromSlash(d.Key))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	dst, err := os.Create(name)
	if err != nil {
		return err
	}
	if d.Content != "" {
		err = copyFrom(dst, d.Content)
	}
	if err := errors.Join(err, dst.Close()); err != nil {
		return err
	}
	return os.Chtimes(name, d.LastModified, d.LastModified)
}

func copyFrom(dst io.Writer, name string) error {
	src, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read
	_, err = io.Copy(dst, src)
	return err
}

// Settle waits until the system is idle.
func (l *local) Settle(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.failed:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := l.process.Settle(ctx)
	select {
	case <-l.failed:
		return errors.Join(errors.New("the system has stopped"), l.stop())
	default:
		return err
	}
}

// Outcome reads the file's history, or, for an object that never became a file,
// what the log says of it. A transaction file has come to what its parts have.
func (l *local) Outcome(ctx context.Context, id dms.FileID) (cases.Result, error) {
	result, parts, err := l.history(ctx, id)
	if err != nil || len(parts) == 0 {
		return result, err
	}
	// Its rows count if any do; one that is set aside is what a person must know of.
	rank := map[cases.Outcome]int{cases.Quarantined: 4, cases.Applied: 3, cases.Superseded: 2, cases.Held: 1}
	result = cases.Result{Outcome: cases.Ignored}
	for _, part := range parts {
		one, _, err := l.history(ctx, part.FileID)
		if err != nil {
			return cases.Result{}, err
		}
		if rank[one.Outcome] > rank[result.Outcome] {
			result.Outcome = one.Outcome
		}
		if one.Text != "" {
			result.Text += fmt.Sprintf("%s.%s: %s; ", part.Schema, part.Table, one.Text)
		}
	}
	return result, nil
}

// history tells what became of one file, and of which parts a transaction file is.
func (l *local) history(ctx context.Context, id dms.FileID) (cases.Result, []dms.TransactionPart, error) {
	object, err := l.process.Store.Object(ctx, id)
	if err != nil {
		return cases.Result{}, nil, err
	}
	row, err := l.process.Store.File(ctx, object.Table, id)
	if errors.Is(err, control.ErrNotFound) {
		result, err := l.logged(ctx, id)
		return result, nil, err
	}
	if err != nil {
		return cases.Result{}, nil, err
	}
	f, err := lockmanager.DecodeFile(row.Body)
	if err != nil {
		return cases.Result{}, nil, err
	}
	text := f.Reason
	if failure := f.Failure; failure != nil {
		text = fmt.Sprintf("%s %s %s %s", failure.GetCode(), failure.GetMessage(), failure.GetExpected(), failure.GetHint())
	}
	outcomes := map[lockmanager.Status]cases.Outcome{
		lockmanager.Published: cases.Applied, lockmanager.Split: cases.Applied,
		lockmanager.Quarantined: cases.Quarantined, lockmanager.Skipped: cases.Quarantined, lockmanager.Ignored: cases.Ignored,
	}
	outcome, ok := outcomes[f.Status]
	switch {
	case !ok:
		outcome = cases.Held
	case outcome == cases.Ignored && f.Reason == lockmanager.ReasonSuperseded:
		outcome = cases.Superseded
	}
	return cases.Result{Outcome: outcome, Text: text}, f.Parts, nil
}

func (l *local) logged(ctx context.Context, id dms.FileID) (cases.Result, error) {
	for r, err := range l.process.Log.Read(ctx, eventlog.Filter{}) {
		if err != nil {
			return cases.Result{}, err
		}
		if r.Envelope.GetCorrelation() != string(id) {
			continue
		}
		switch e := r.Event.(type) {
		case *blotterv1.ObjectIgnored:
			return cases.Result{Outcome: cases.Ignored, Text: e.GetReason() + " " + e.GetDetail()}, nil
		case *blotterv1.FileRejected:
			return cases.Result{Outcome: cases.Ignored, Text: e.GetReason() + " " + e.GetDetail()}, nil
		case *blotterv1.ObjectHeld:
			return cases.Result{Outcome: cases.Held, Text: e.GetReason()}, nil
		}
	}
	return cases.Result{}, fmt.Errorf("the log says nothing of file %s", id)
}

// ResumeSkip resumes the file's table; of a transaction file the tables whose
// parts are quarantined.
func (l *local) ResumeSkip(ctx context.Context, id dms.FileID) error {
	_, parts, err := l.history(ctx, id)
	if err != nil {
		return err
	}
	ids := []dms.FileID{id}
	for _, part := range parts {
		ids = append(ids, part.FileID)
	}
	for _, id := range ids {
		object, err := l.process.Store.Object(ctx, id)
		if err != nil {
			return err
		}
		row, err := l.process.Store.File(ctx, object.Table, id)
		if errors.Is(err, control.ErrNotFound) || err == nil && row.State != string(lockmanager.Quarantined) {
			continue
		}
		if err != nil {
			return err
		}
		err = l.command(ctx, "resume", lockmanager.CommandRequest{Table: object.Table.String(), Mode: string(lockmanager.ResumeSkip)})
		if err != nil {
			return err
		}
	}
	return nil
}

// LoadComplete completes an open load.
func (l *local) LoadComplete(ctx context.Context, table dms.TableID) error {
	item, err := l.process.Store.Table(ctx, table)
	if err != nil {
		return err
	}
	state, err := lockmanager.DecodeState(item.State)
	if err != nil || state.Load == nil {
		return err
	}
	return l.command(ctx, "load-complete", lockmanager.CommandRequest{Table: table.String(), Confirm: true})
}
