package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// site is the system that a command works on: the folder of its process, and where
// everything is that does not lie there.
type site struct {
	dir    string
	places roles.Places
	// nats says as whom its NATS server is reached. No folder remembers it: what runs
	// there and who looks at it are different users.
	nats natsauth.Credentials
	// said are the flags by which a command finds the same site, but for places: flagged
	// are those that a flag named.
	said    []string
	flagged roles.Places
	err     error // what is wrong with it; config gives it
}

// inDir is the site of a folder that has everything.
func inDir(dir string) site { return site{dir: dir, said: saidDir(dir)} }

// siteOf gives the site that a command is told of: by flags, else the environment,
// else what the folder remembers.
func siteOf(cmd *cobra.Command) site {
	dir, err := cmd.Flags().GetString("dir")
	if err != nil {
		panic(err) // the root defines it
	}
	at := inDir(dir)
	for _, place := range roles.PlaceList() {
		flag := cmd.Flags().Lookup(place.Name)
		if flag == nil || !flag.Changed {
			continue
		}
		*place.Of(&at.flagged) = flag.Value.String()
	}
	at.places = at.flagged
	remembered, err := roles.ReadPlaces(dir)
	at.places = at.places.Or(roles.PlacesOf(os.Getenv)).Or(remembered)
	var lacks error
	at.nats, lacks = credentialsOf(cmd, os.Getenv, at.places.NATS)
	at.err = errors.Join(err, lacks)
	return at
}

// addPlaceFlags has a command say where everything is.
func addPlaceFlags(flags *pflag.FlagSet, hidden bool) {
	for _, place := range roles.PlaceList() {
		flags.String(place.Name, "", place.What+" ["+place.Variable()+"]")
		flags.Lookup(place.Name).Hidden = hidden
	}
	addCredentialFlags(flags, hidden)
}

// config is the configuration of a process of the site.
func (at site) config() (roles.Config, error) {
	cfg := roles.DefaultConfig()
	cfg.Dir, cfg.Places, cfg.NATS, cfg.AuditKeys = at.dir, at.places, at.nats, roles.AuditKeysOf(os.Getenv)
	if at.places.NATS != "" {
		cfg.Log = eventlog.DefaultConfig()
	}
	return cfg, errors.Join(at.err, cfg.Validate())
}

// flags is what a command must be given to work on the same site, with a space before
// it; empty if nothing. What the folder remembers by then need not be said.
func (at site) flags() string {
	said := slices.Clone(at.said)
	if remembered, err := roles.ReadPlaces(at.dir); err == nil {
		said = append(said, at.saidPlaces(remembered)...)
	}
	if len(said) == 0 {
		return ""
	}
	return " " + strings.Join(said, " ")
}

// saidPlaces are the flags for places that were given by a flag, but for those that are
// remembered.
func (at site) saidPlaces(remembered roles.Places) []string {
	var said []string
	for _, place := range roles.PlaceList() {
		uri := *place.Of(&at.flagged)
		if uri == "" || place.Name == "nats" || place.Name == "alerts" { // they may hold a password
			continue
		}
		if known := *place.Of(&remembered); known == uri || known != "" && known == absolute(uri) {
			continue
		}
		said = append(said, "--"+place.Name, shellWord(uri))
	}
	return said
}

// absolute gives a path as a folder remembers it; the address of something else as it is.
func absolute(uri string) string {
	if strings.Contains(uri, "://") {
		return uri
	}
	path, err := filepath.Abs(uri)
	if err != nil {
		return uri
	}
	return path
}

func saidDir(dir string) []string {
	if dir == defaultDir {
		return nil
	}
	return []string{"--dir", shellWord(dir)}
}

// shellWord quotes a word for a shell where it must be.
func shellWord(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(plainRunes, r) }) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// plainRunes need no quotes in a shell.
const plainRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:"

// readStore opens the control store of a site for looking, whether a process runs
// there or not.
func readStore(ctx context.Context, at site) (roles.Store, error) {
	cfg, err := at.config()
	if err != nil {
		return nil, err
	}
	store, err := roles.OpenStore(ctx, cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, at.unknown()
	}
	return store, err
}

// noSystemError says that no system has used the folder.
type noSystemError struct{ dir string }

func (e noSystemError) Error() string { return "there is no Blotter in " + e.dir }

// unknown says that no system has used the site.
func (at site) unknown() error {
	if _, err := os.Stat(filepath.Join(at.dir, roles.LogDir)); err == nil {
		return fmt.Errorf("%w that has its control store, but the log of one: if that was lost, write it anew with `blotter replay --rebuild%s`",
			noSystemError{at.dir}, at.flags())
	}
	return fmt.Errorf("%w; name its folder with --dir, or start one with `blotter up --tables FILE`", noSystemError{at.dir})
}

// begun refuses a site that no system has used and whose control store would be made in
// its folder: without a table to begin with, its name is more likely mistyped.
func (at site) begun(ctx context.Context) error {
	store, err := readStore(ctx, at)
	if none := (noSystemError{}); errors.As(err, &none) {
		return fmt.Errorf("%w, and no table to begin one with; name its folder with --dir, or tables with --tables FILE; "+
			"if its control store was lost: blotter replay --rebuild%s", none, at.flags())
	}
	if err != nil {
		return err
	}
	return store.Close()
}

// known refuses a site that no system has used.
func (at site) known(ctx context.Context) error {
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	return store.Close()
}

// openLake opens the tables of a site for reading. The error is roles.ErrNoLake if none
// was ever published there; `replay --out` leaves tables and nothing else.
func openLake(ctx context.Context, at site) (*lake.Lake, func() error, error) {
	cfg, err := at.config()
	if err != nil {
		return nil, nil, err
	}
	l, closer, err := roles.OpenLake(ctx, cfg, newLogger(false))
	if errors.Is(err, roles.ErrNoLake) || errors.Is(err, fs.ErrNotExist) {
		if err := at.known(ctx); err != nil {
			return nil, nil, err
		}
	}
	return l, closer, err
}

// openFailed opens the bucket of what was set aside.
func openFailed(ctx context.Context, at site, readOnly bool) (objects.Bucket, func() error, error) {
	cfg, err := at.config()
	if err != nil {
		return nil, nil, err
	}
	b, closer, err := roles.OpenFailed(ctx, cfg, readOnly)
	if err != nil {
		return nil, nil, fmt.Errorf("open what was set aside: %w", err)
	}
	return b, closer, nil
}

// openAudit reaches the system of a site, and opens its buckets and tables for looking;
// own are the roles that it needs if nobody runs there.
func openAudit(ctx context.Context, at site, own ...string) (c *client, stores *roles.Stores, closer func() error, err error) {
	cfg, err := at.config()
	if err != nil {
		return nil, nil, nil, err
	}
	if c, err = connect(ctx, at, false, own...); err != nil {
		return nil, nil, nil, err
	}
	if stores, err = roles.OpenStores(ctx, cfg, newLogger(false)); err != nil {
		return nil, nil, nil, errors.Join(err, c.close())
	}
	return c, stores, func() error { return errors.Join(stores.Close(), c.close()) }, nil
}
