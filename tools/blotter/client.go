package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lifecycle"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// requestTimeout bounds one request to a service; announceTimeout the wait for
// a process that has just started.
const (
	requestTimeout  = 60 * time.Second
	announceTimeout = 30 * time.Second
)

// client reaches the system of a folder: the process that runs there, or, if
// none does, one of its own for as long as the command takes.
type client struct {
	nc    *nats.Conn
	log   *eventlog.Log
	own   bool // nobody ran there: the process is the command's own
	close func() error
}

// connect reaches the system of dir; own are the roles that it needs if nobody
// runs there. Without create the folder must be there.
func connect(ctx context.Context, dir string, create bool, own ...string) (*client, error) {
	if !create {
		if err := known(dir); err != nil {
			return nil, err
		}
	}
	cfg := roles.DefaultConfig()
	cfg.Dir, cfg.Roles = dir, append([]string{}, own...)
	if raw, err := roles.ReadRawDir(dir); err == nil {
		cfg.Raw = raw
	}
	p, err := roles.Open(ctx, cfg, newLogger(false))
	if errors.Is(err, lifecycle.ErrFolderHeld) {
		return dial(ctx, dir, err)
	}
	if err != nil {
		return nil, err
	}
	stop, _ := p.Start(context.WithoutCancel(ctx))
	nc, log, err := open(ctx, p.URL(), cfg.Log)
	if err != nil {
		return nil, errors.Join(err, stop(), p.Close())
	}
	return &client{nc: nc, log: log, own: true, close: func() error {
		nc.Close()
		return errors.Join(stop(), p.Close())
	}}, nil
}

// known refuses a folder that no system has used.
func known(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, roles.ControlFile)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no Blotter in %s; name its folder with --dir, or start one with `blotter up`", dir)
	}
	return nil
}

// knownLake is known for what looks at tables alone: `replay --out` leaves nothing else.
func knownLake(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, roles.CatalogFile)); err == nil {
		return nil
	}
	return known(dir)
}

// dial connects to the process that holds dir.
func dial(ctx context.Context, dir string, held error) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	for {
		running, err := roles.ReadRunning(dir)
		if err == nil {
			nc, log, err := open(ctx, running.URL, roles.DefaultConfig().Log)
			if err != nil {
				return nil, fmt.Errorf("reach the process %d that runs in %s: %w", running.PID, dir, err)
			}
			return &client{nc: nc, log: log, close: func() error { nc.Close(); return nil }}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, and it does not say where it can be reached", held)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func open(ctx context.Context, url string, cfg eventlog.Config) (*nats.Conn, *eventlog.Log, error) {
	nc, err := eventlog.Connect(url, "blotter-cli", newLogger(false))
	if err != nil {
		return nil, nil, err
	}
	log, err := eventlog.Open(ctx, nc, cfg)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, log, nil
}

// request asks a service and decodes its answer.
func (c *client) request(ctx context.Context, subject string, request, answer any) error {
	b, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for {
		msg, err := c.nc.RequestWithContext(ctx, subject, b)
		if errors.Is(err, nats.ErrNoResponders) && ctx.Err() == nil {
			// The service is only just starting.
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("ask %s: %w", subject, err)
		}
		if text := msg.Header.Get("Nats-Service-Error"); text != "" {
			return errors.New(text)
		}
		if err := json.Unmarshal(msg.Data, answer); err != nil {
			return fmt.Errorf("read the answer of %s: %w", subject, err)
		}
		return nil
	}
}

// command has lock-manager carry out a command, and gives what it says.
func (c *client) command(ctx context.Context, name string, r lockmanager.CommandRequest) (string, error) {
	r.ID, r.Actor = nuid.Next(), operator()
	var reply lockmanager.CommandReply
	if err := c.request(ctx, lockmanager.CommandSubject+"."+name, r, &reply); err != nil {
		return "", err
	}
	if reply.Refused != "" {
		return "", errors.New(reply.Refused)
	}
	return reply.Detail, nil
}

// readStore opens the control store of a folder for looking, whether a process
// runs there or not.
func readStore(ctx context.Context, dir string) (*controlsqlite.Store, error) {
	if err := known(dir); err != nil {
		return nil, err
	}
	return controlsqlite.OpenReadOnly(ctx, filepath.Join(dir, roles.ControlFile))
}
