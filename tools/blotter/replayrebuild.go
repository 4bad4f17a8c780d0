package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/lake"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/replay"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// rebuildStore writes a lost control store anew, and the hold queue after it.
func rebuildStore(ctx context.Context, at site, asJSON bool, out io.Writer) error {
	cfg, err := at.config()
	if err != nil {
		return err
	}
	var rebuilt *replay.Rebuilt
	place, err := fillStore(ctx, at, cfg, func(r *replay.Rebuilt) { rebuilt = r })
	switch {
	case errors.Is(err, roles.ErrStoreThere):
		return fmt.Errorf("%w; it is not written over: compare it with `blotter replay%s`, and move it away if it is to be written anew", err, at.flags())
	case errors.Is(err, replay.ErrNotWhole):
		return fmt.Errorf("%w; restore the log, or the control store, from a backup", err)
	case err != nil:
		return err
	}
	if err := place(); err != nil {
		return err
	}
	if err := refillHold(ctx, cfg, rebuilt); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, rebuilt)
	}
	fmt.Fprintf(out, "the control store is written anew: %s, %s of the raw bucket\n", count(len(rebuilt.Tables), "table"), count(rebuilt.Objects, "object"))
	for _, t := range rebuilt.Tables {
		fmt.Fprintf(out, "  %s: version %d, %s, %d of them held\n", t.Table, t.Version, count(t.Files, "file"), t.HeldN)
	}
	fmt.Fprintf(out, "start the system again; `blotter fsck%s` tells whether all agrees\n", at.flags())
	return nil
}

// fillStore reads the log and fills a store; place puts it where it belongs, once
// nobody has the place open.
func fillStore(ctx context.Context, at site, cfg roles.Config, done func(*replay.Rebuilt)) (place func() error, err error) {
	if _, err := os.Stat(filepath.Join(at.dir, roles.LogDir)); at.places.NATS == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no log in %s; name the folder with --dir", at.dir)
	}
	c, err := connect(ctx, at, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if !c.own && at.places.NATS == "" {
		return nil, errors.New("a system runs there: stop it first")
	}
	if last, err := c.log.Last(ctx); err != nil || last == 0 {
		return nil, errors.Join(err, fmt.Errorf("the log in %s is empty: there is nothing to write a control store from", at.dir))
	}
	stores, err := roles.OpenStores(ctx, cfg, newLogger(false))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	return roles.RebuildStore(ctx, cfg, func(s roles.Store) error {
		r, err := replay.Rebuild(ctx, c.log, s, behind(stores.Lake))
		done(r)
		return err
	})
}

// behind refuses a table whose lake knows of a token that the log does not: to grant it
// again would be to publish over what is there.
func behind(l *lake.Lake) func(context.Context, *lockmanager.State) error {
	return func(ctx context.Context, s *lockmanager.State) error {
		if l == nil {
			return nil
		}
		token, err := l.Token(ctx, s.Table)
		switch {
		case errors.Is(err, lake.ErrNoTable):
			return nil
		case err != nil:
			return err
		case token > s.Token:
			return fmt.Errorf("%w: the table in the lake has token %d, the log ends at token %d", replay.ErrNotWhole, token, s.Token)
		}
		return nil
	}
}

func refillHold(ctx context.Context, cfg roles.Config, rebuilt *replay.Rebuilt) error {
	hold, closer, err := roles.OpenHold(ctx, cfg)
	if err != nil {
		return err
	}
	for _, t := range rebuilt.Tables {
		if _, rebuildErr := holdqueue.Rebuild(ctx, hold, t.Table, t.Held); rebuildErr != nil {
			err = errors.Join(err, rebuildErr)
		}
	}
	return errors.Join(err, closer())
}
