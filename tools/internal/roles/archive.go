package roles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
)

// AuditKeys are the keys of the archive, as the environment has them: each the text of
// keys, or the name of a file with it.
type AuditKeys struct {
	Secret string // the signing key
	Older  string // verifier keys that signed the beginning of the archive
}

// AuditKeysOf reads the environment.
func AuditKeysOf(getenv func(string) string) AuditKeys {
	return AuditKeys{Secret: getenv(archive.KeyVariable), Older: getenv(archive.OlderVariable)}
}

// ErrNoKey: there is no key to sign the archive with.
var ErrNoKey = errors.New("there is no key to sign the archive with: make one with `blotter audit key --new NAME`, and give it in " + archive.KeyVariable)

// textOrFile gives a text of keys, which may be the name of a file with it.
func textOrFile(s string) (string, error) {
	if strings.Contains(s, "+") && !strings.ContainsAny(s, "/\\") || strings.HasPrefix(s, "PRIVATE+KEY+") || strings.Contains(s, "\n") || s == "" {
		return s, nil
	}
	b, err := os.ReadFile(s)
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(s, "+") {
		return s, nil // base64 has slashes, too
	}
	if err != nil {
		return "", fmt.Errorf("read a key of the archive: %w", err)
	}
	return string(b), nil
}

// signing gives the key to sign with, and the older ones. Where the archive is a folder
// and no key is given, it is that of the process's own folder, made there if there is
// none: it lives and dies with the archive. ErrNoKey for any other place.
func (c Config) signing(create bool) (secret, older string, err error) {
	a, err := c.address("audit")
	if err != nil {
		return "", "", fmt.Errorf("--audit: %w", err)
	}
	if older, err = textOrFile(c.AuditKeys.Older); err != nil {
		return "", "", fmt.Errorf("%s: %w", archive.OlderVariable, err)
	}
	switch {
	case c.AuditKeys.Secret != "":
		if secret, err = textOrFile(c.AuditKeys.Secret); err != nil {
			return "", "", fmt.Errorf("%s: %w", archive.KeyVariable, err)
		}
		return secret, older, nil
	case a.scheme != "":
		return "", "", ErrNoKey
	case create:
		secret, err = archive.MakeKeyIn(c.Dir)
	default:
		if secret, err = archive.KeyIn(c.Dir); errors.Is(err, fs.ErrNotExist) {
			err = ErrNoKey
		}
	}
	return secret, older, err
}

// AuditPublic gives the verifier keys of the archive that this process or machine is
// known to sign, one a line; ErrNoKey if it signs none.
func AuditPublic(cfg Config) (string, error) {
	secret, older, err := cfg.signing(false)
	if err != nil {
		return "", err
	}
	public, err := archive.PublicOf(secret)
	if err != nil {
		return "", fmt.Errorf("%s: %w", archive.KeyVariable, err)
	}
	return strings.TrimSpace(public+"\n"+older) + "\n", nil
}

// keepsCheckpoint: the folder of the process holds log and archive, and keeps a checkpoint
// apart from the latter.
func (c Config) keepsCheckpoint() bool { return c.Places.NATS == "" && c.Places.Audit == "" }

// KeptCheckpoint gives the newest checkpoint that the folder of a system keeps of its
// archive; nil if it keeps none. It is an error if none of the keys has signed it.
func KeptCheckpoint(cfg Config, keys archive.Keys) (c *archive.Checkpoint, signed []byte, err error) {
	if !cfg.keepsCheckpoint() {
		return nil, nil, nil
	}
	kept, signed, err := archive.KeptIn(cfg.Dir, keys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return &kept, signed, nil
}

// KeptByKey is KeptCheckpoint by the key at hand.
func KeptByKey(cfg Config) (*archive.Checkpoint, error) {
	var keys archive.Keys
	text, err := AuditPublic(cfg)
	if err == nil {
		keys, err = archive.ParseKeys(text)
	}
	if err != nil {
		if _, statErr := os.Stat(filepath.Join(cfg.Dir, archive.KeptFile)); !cfg.keepsCheckpoint() || statErr != nil {
			return nil, nil //nolint:nilerr // nothing was ever archived from here
		}
		return nil, fmt.Errorf("a checkpoint of the archive was kept, and cannot be checked: %w", err)
	}
	kept, _, err := KeptCheckpoint(cfg, keys)
	return kept, err
}

// OpenAudit opens the bucket of the archive, and gives what closes it. The error is
// archive.ErrEmpty if it is to be read and its folder is not there.
func OpenAudit(ctx context.Context, cfg Config, readOnly bool) (objects.Bucket, func() error, error) {
	p, err := (&opener{cfg: cfg}).bucket(ctx, "audit", readOnly)
	if readOnly && errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", archive.ErrEmpty, err)
	}
	if err != nil {
		return nil, nil, err
	}
	return p.bucket, p.close, nil
}

// NewArchiver makes the writer of the archive of a log; see Config.AuditKeys for its key.
// Its error is ErrNoKey, too, where a key would be made for an archive that another one has
// signed.
func NewArchiver(ctx context.Context, cfg Config, bucket objects.Bucket, log archive.Source) (*archive.Writer, error) {
	secret, older, err := cfg.signing(false)
	if errors.Is(err, ErrNoKey) {
		begun, lookErr := cfg.archiveBegun(ctx, bucket)
		switch {
		case lookErr != nil:
			return nil, lookErr
		case begun:
			return nil, fmt.Errorf("%w; the archive is there, and the key that signed it (%s) is not: put it back from a backup, or go on with another key, "+
				"and give the verifier key of this one in %s", ErrNoKey, filepath.Join(cfg.Dir, archive.SecretFile), archive.OlderVariable)
		}
		secret, older, err = cfg.signing(true)
	}
	if err != nil {
		return nil, err
	}
	w, err := archive.NewWriter(cfg.Archive, bucket, log, secret, older)
	if err != nil {
		return nil, fmt.Errorf("the keys of the archive: %w", err)
	}
	if cfg.keepsCheckpoint() {
		w.KeepIn(cfg.Dir)
	}
	return w, nil
}

// archiveBegun reports whether there is, or was, an archive whose key would be made.
func (c Config) archiveBegun(ctx context.Context, bucket objects.Bucket) (bool, error) {
	if a, err := c.address("audit"); err != nil || a.scheme != "" {
		return false, err // no key is ever made for it
	}
	if _, err := os.Stat(filepath.Join(c.Dir, archive.KeptFile)); err == nil {
		return true, nil
	}
	return archive.Begun(ctx, bucket)
}

// Archived gives the option that lets a log begin in its archive, and what closes the
// archive again. It is opened when a read needs it.
func Archived(cfg Config) (eventlog.Option, func() error) {
	var closers []func() error
	open := func(ctx context.Context) (eventlog.Archive, error) {
		bucket, closer, err := OpenAudit(ctx, cfg, true)
		if err != nil {
			return nil, err
		}
		closers = append(closers, closer)
		var keys archive.Keys
		text, err := AuditPublic(cfg)
		if err == nil {
			keys, err = archive.ParseKeys(text)
		}
		if err != nil && !errors.Is(err, ErrNoKey) {
			return nil, err
		}
		return archive.NewReader(ctx, bucket, keys)
	}
	cached := onceOpened(open)
	return eventlog.WithArchive(cached), func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
}

// onceOpened opens an archive once; a failure is tried again.
func onceOpened(open func(context.Context) (eventlog.Archive, error)) func(context.Context) (eventlog.Archive, error) {
	turn := make(chan eventlog.Archive, 1)
	turn <- nil
	return func(ctx context.Context) (eventlog.Archive, error) {
		var a eventlog.Archive
		select {
		case a = <-turn:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		defer func() { turn <- a }()
		if a != nil {
			return a, nil
		}
		opened, err := open(ctx)
		if err == nil {
			a = opened
		}
		return a, err
	}
}

// archives reports whether a process of this configuration archives the log: it runs
// the role that has the duty, and has a place for it that outlives the process.
func (c Config) archives() bool {
	return c.need(needAudit) && (c.Places.NATS == "" || c.Places.Audit != "")
}

// openAudit makes the keeper of the archive. Without a key there is none, which is told:
// the log is whole without its archive.
func (p *Process) openAudit(ctx context.Context) error {
	if !p.cfg.archives() {
		return nil
	}
	bucket, closer, err := OpenAudit(ctx, p.cfg, false)
	if err != nil {
		return err
	}
	p.atClose(closer)
	w, err := NewArchiver(ctx, p.cfg, bucket, p.Log)
	if errors.Is(err, ErrNoKey) {
		p.logger.WarnContext(ctx, "the event log is not archived", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.agreeWithArchive(ctx, w); err != nil {
		return err
	}
	if err := p.lookAtLog(ctx, w); err != nil {
		return err
	}
	p.keeper = &archive.Keeper{Writer: w, Interval: p.cfg.Archive.Interval, Now: p.now, Logger: p.logger}
	return nil
}

// andArchive has the archive kept beside what a role does.
func (p *Process) andArchive(run func(context.Context) error) func(context.Context) error {
	if p.keeper == nil {
		return run
	}
	return func(ctx context.Context) error { return runBoth(ctx, run, p.keeper.Run) }
}
