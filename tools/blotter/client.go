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
		c, err := open(ctx, url, cfg)
		if err != nil {
			return nil, fmt.Errorf("reach the system by --nats (BLOTTER_NATS): %w", err)
		}
		return c, nil
	}
	cfg.Roles = append([]string{}, own...)
	p, err := roles.Open(ctx, cfg, newLogger(false))
	if errors.Is(err, lifecycle.ErrFolderHeld) {
		return dial(ctx, cfg, err)
	}
	if err != nil {
		return nil, err
	}
	stop, _ := p.Start(context.WithoutCancel(ctx))
	c, err := open(ctx, p.URL(), cfg)
	if err != nil {
		return nil, errors.Join(err, stop(), p.Close())
	}
	closeClient := c.close
	c.own, c.close = true, func() error { return errors.Join(closeClient(), stop(), p.Close()) }
	return c, nil
}

// dial connects to the process that holds the folder.
func dial(ctx context.Context, cfg roles.Config, held error) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	for {
		running, err := roles.ReadRunning(cfg.Dir)
		if err == nil {
			c, err := open(ctx, running.URL, cfg)
			if err != nil {
				return nil, fmt.Errorf("reach the process %d that runs in %s: %w", running.PID, cfg.Dir, err)
			}
			return c, nil
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

// open connects to a server, and binds to the log there and its archive.
func open(ctx context.Context, url string, cfg roles.Config) (*client, error) {
	nc, err := cfg.ConnectNATS(url, "blotter-cli", newLogger(false))
	if err != nil {
		return nil, err
	}
	archived, closeArchive := roles.Archived(cfg)
	log, err := eventlog.Open(ctx, nc, cfg.Log, eventlog.Existing(), archived)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &client{nc: nc, log: log, close: func() error {
		nc.Close()
		return closeArchive()
	}}, nil
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
		asking, done := eventlog.UntilDenied(ctx, c.nc)
		msg, err := c.nc.RequestWithContext(asking, subject, b)
		done()
		if denied := (*eventlog.DeniedError)(nil); err != nil && errors.As(context.Cause(asking), &denied) {
			return denied
		}
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
