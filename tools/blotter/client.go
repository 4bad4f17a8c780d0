package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lifecycle"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// requestTimeout bounds one request to a service, startTimeout the wait for one that
// has just started, announceTimeout that for a process.
const (
	requestTimeout  = 60 * time.Second
	startTimeout    = 20 * time.Second
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

// connect reaches the system of a site: by its NATS server if that is no process's own,
// else the process that runs in its folder, else one of its own with these roles.
// Without create the system must be there.
func connect(ctx context.Context, at site, create bool, own ...string) (*client, error) {
	cfg, err := at.config()
	if err != nil {
		return nil, err
	}
	if !create {
		if err := at.known(ctx); err != nil {
			return nil, err
		}
	}
	if url := at.places.NATS; url != "" {
		nc, log, err := open(ctx, url, cfg.Log)
		if err != nil {
			return nil, fmt.Errorf("reach the system by --nats (BLOTTER_NATS): %w", err)
		}
		return &client{nc: nc, log: log, close: func() error { nc.Close(); return nil }}, nil
	}
	cfg.Roles = append([]string{}, own...)
	p, err := roles.Open(ctx, cfg, newLogger(false))
	if errors.Is(err, lifecycle.ErrFolderHeld) {
		return dial(ctx, at.dir, err)
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
	log, err := eventlog.Open(ctx, nc, cfg, eventlog.Existing())
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
	for began := time.Now(); ; {
		msg, err := c.nc.RequestWithContext(ctx, subject, b)
		if errors.Is(err, nats.ErrNoResponders) && ctx.Err() == nil {
			if time.Since(began) > startTimeout {
				return fmt.Errorf("nothing answers at %s: start the system, or the role that is missing", subject)
			}
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
