package roles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/control/dynamo"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/holdqueue"
	holdsqlite "github.com/openblotter/blotter/pkg/holdqueue/sqlite"
	"github.com/openblotter/blotter/pkg/holdqueue/sqs"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

// lookTimeout bounds the look whether a place is there: a wrong endpoint must not
// keep a process from saying so.
const lookTimeout = 30 * time.Second

// Store is the control store with all that it keeps.
type Store interface {
	control.Store
	control.Objects
	control.Restorer
	control.Executions
	Close() error
}

// opener opens the places of a configuration, whichever they are. What it opens is
// there: an error says what is missing, and what to do.
type opener struct {
	cfg Config

	once sync.Once
	aws  aws.Config
	s3   *awss3.Client // shared, so that S3 copies between buckets by itself
	err  error
}

// toAWS finds the way to AWS, when the first place needs it.
func (o *opener) toAWS(ctx context.Context) (aws.Config, error) {
	o.once.Do(func() {
		if o.aws, o.err = awsconfig.Load(ctx); o.err == nil {
			o.s3 = s3.NewClient(o.aws)
		}
	})
	return o.aws, o.err
}

// place is an open bucket and where programs elsewhere find it.
type place struct {
	bucket objects.Bucket
	at     plan.Place
	onAWS  bool
	close  func() error
}

// bucket opens the bucket of a place. A prefix of the raw one bounds what is looked
// for, and is a part of the keys: an object of DMS has one name, here and in what AWS
// tells of it.
func (o *opener) bucket(ctx context.Context, name string, readOnly bool, options ...local.Option) (place, error) {
	a, err := o.cfg.address(name)
	if err != nil {
		return place{}, fmt.Errorf("--%s: %w", name, err)
	}
	if name == "raw" {
		a.prefix = ""
	}
	if a.scheme == schemeS3 {
		b, err := o.onS3(ctx, a, readOnly, false)
		if err != nil {
			return place{}, fmt.Errorf("--%s: %w", name, err)
		}
		return place{bucket: b, at: plan.Place{Name: b.Name(), URI: a.uri(), Region: o.aws.Region}, onAWS: true, close: func() error { return nil }}, nil
	}
	if readOnly {
		options = append(options, local.ReadOnly())
	}
	b, err := local.New(bucketNames[name], a.path, options...)
	if err != nil {
		return place{}, fmt.Errorf("open the folder of --%s: %w", name, err)
	}
	return place{bucket: b, at: rows.FolderPlace(b), close: b.Close}, nil
}

// bucketNames are what buckets in folders are called.
var bucketNames = map[string]string{"raw": "raw", "staging": "staging", "failed": "failed", "lake": "curated", "audit": "audit"}

func (o *opener) onS3(ctx context.Context, a address, readOnly, versions bool) (*s3.Bucket, error) {
	if _, err := o.toAWS(ctx); err != nil {
		return nil, err
	}
	b, err := s3.New(o.s3, s3.Config{Bucket: a.name, Prefix: a.prefix, Versions: versions, ReadOnly: readOnly})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := b.Check(ctx); err != nil {
		if errors.Is(err, s3.ErrNoBucket) {
			err = fmt.Errorf("%w, or have `blotter places --create` make it", err)
		}
		return nil, err
	}
	return b, nil
}

// raw opens the raw bucket, to be watched.
func (o *opener) raw(ctx context.Context) (Raw, place, error) {
	a, err := o.cfg.address("raw")
	if err != nil {
		return nil, place{}, fmt.Errorf("--raw: %w", err)
	}
	if a.scheme == schemeS3 {
		return o.rawOnS3(ctx, a)
	}
	b, err := local.New("raw", a.path, local.ReadOnly())
	if err != nil {
		return nil, place{}, fmt.Errorf("open the raw folder %s (name it with --raw): %w", a.path, err)
	}
	w, err := b.Watch(context.WithoutCancel(ctx), o.cfg.Watch)
	if err != nil {
		return nil, place{}, errors.Join(fmt.Errorf("watch the raw folder: %w", err), b.Close())
	}
	return rawFolder{b, w}, place{bucket: b, at: rows.FolderPlace(b), close: func() error { return errors.Join(w.Close(), b.Close()) }}, nil
}

func (o *opener) rawOnS3(ctx context.Context, a address) (Raw, place, error) {
	if _, err := o.toAWS(ctx); err != nil {
		return nil, place{}, fmt.Errorf("--raw: %w", err)
	}
	below := a.prefix
	a.prefix = ""
	b, err := o.onS3(ctx, a, true, false)
	if err != nil {
		return nil, place{}, fmt.Errorf("--raw: %w", err)
	}
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	versions, err := s3.KeepsVersions(looking, o.s3, a.name)
	if err == nil && versions {
		b, err = s3.New(o.s3, s3.Config{Bucket: a.name, Versions: true, ReadOnly: true})
	}
	if err != nil {
		return nil, place{}, fmt.Errorf("--raw: %w", err)
	}
	interval := o.cfg.Watch.Rescan
	if interval == 0 {
		interval = local.DefaultWatchConfig().Rescan
	}
	w, err := b.Watch(context.WithoutCancel(ctx), below, interval)
	if err != nil {
		return nil, place{}, fmt.Errorf("watch the raw bucket: %w", err)
	}
	return rawOnS3{b, w}, place{bucket: b, at: plan.Place{Name: b.Name(), URI: a.uri(), Region: o.aws.Region}, onAWS: true, close: w.Close}, nil
}

// store opens the control store, for looking only where that is enough.
func (o *opener) store(ctx context.Context, look bool) (Store, error) {
	a, err := o.cfg.address("control")
	if err != nil {
		return nil, fmt.Errorf("--control: %w", err)
	}
	switch {
	case a.scheme == schemeDynamo:
		return o.onDynamo(ctx, a.name)
	case look:
		s, err := controlsqlite.OpenReadOnly(ctx, a.path)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	s, err := controlsqlite.Open(ctx, a.path)
	if err != nil {
		return nil, fmt.Errorf("open the control store: %w", err)
	}
	return s, nil
}

func (o *opener) onDynamo(ctx context.Context, table string) (Store, error) {
	cfg, err := o.toAWS(ctx)
	if err != nil {
		return nil, fmt.Errorf("--control: %w", err)
	}
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	s, err := dynamo.Open(looking, dynamodb.NewFromConfig(cfg), table)
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, fmt.Errorf("--control: there is no DynamoDB table %s in region %s: make it with `blotter places --create`, or name another: %w", table, cfg.Region, err)
	}
	if err != nil {
		return nil, fmt.Errorf("--control: %w", err)
	}
	return s, nil
}

// hold opens the hold queue.
func (o *opener) hold(ctx context.Context) (holdqueue.Queue, func() error, error) {
	a, err := o.cfg.address("hold")
	if err != nil {
		return nil, nil, fmt.Errorf("--hold: %w", err)
	}
	if a.scheme != schemeSQS {
		q, err := holdsqlite.Open(ctx, a.path)
		if err != nil {
			return nil, nil, fmt.Errorf("open the hold queue: %w", err)
		}
		return q, q.Close, nil
	}
	cfg, err := o.toAWS(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("--hold: %w", err)
	}
	settings := sqs.DefaultConfig()
	settings.Prefix = a.name
	q, err := sqs.New(awssqs.NewFromConfig(cfg), settings)
	if err != nil {
		return nil, nil, fmt.Errorf("--hold: %w", err)
	}
	// Queues are made when they are needed; that SQS can be asked shows now.
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := q.Check(looking); err != nil {
		return nil, nil, fmt.Errorf("--hold: SQS cannot be asked in region %s: %w", cfg.Region, err)
	}
	return q, func() error { return nil }, nil
}

// OpenStore opens the control store of a system for looking, whether a process runs
// there or not. The error is fs.ErrNotExist if no system has used it.
func OpenStore(ctx context.Context, cfg Config) (Store, error) {
	o := &opener{cfg: cfg}
	a, err := cfg.address("control")
	if err != nil {
		return nil, fmt.Errorf("--control: %w", err)
	}
	if a.scheme == "" {
		if _, err := os.Stat(a.path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open the control store: %w", err)
		}
	}
	return o.store(ctx, true)
}

// ErrStoreThere: the control store that is to be written anew is there, and holds
// tables.
var ErrStoreThere = errors.New("the control store is there, and holds tables")

// RebuildStore has a lost control store filled anew. One in a file is written beside its
// place and moved there when it is whole, by the function that it gives, after whoever
// has the empty one open has closed it; one elsewhere must be empty, and is filled where
// it is. ErrStoreThere if it holds tables.
func RebuildStore(ctx context.Context, cfg Config, fill func(Store) error) (place func() error, err error) {
	o := &opener{cfg: cfg}
	a, err := cfg.address("control")
	if err != nil {
		return nil, fmt.Errorf("--control: %w", err)
	}
	there, err := o.store(ctx, false)
	if err != nil {
		return nil, err
	}
	tables, err := there.Tables(ctx)
	if err == nil && len(tables) > 0 {
		err = fmt.Errorf("%w: the first of %d is %s", ErrStoreThere, len(tables), tables[0])
	}
	if err == nil && a.scheme != "" {
		err = fill(there)
	}
	if err := errors.Join(err, there.Close()); err != nil || a.scheme != "" {
		return func() error { return nil }, err
	}
	beside := a.path + rebuildingSuffix
	if err := removeStore(beside); err != nil {
		return nil, err
	}
	s, err := controlsqlite.Open(ctx, beside)
	if err != nil {
		return nil, fmt.Errorf("make a control store: %w", err)
	}
	if err := errors.Join(fill(s), s.Close()); err != nil {
		return nil, errors.Join(err, removeStore(beside))
	}
	return func() error {
		if err := removeStore(a.path); err != nil {
			return err
		}
		if err := os.Rename(beside, a.path); err != nil {
			return fmt.Errorf("put the control store in its place: %w", err)
		}
		return removeStore(beside)
	}, nil
}

// rebuildingSuffix ends the name of a control store while it is written anew.
const rebuildingSuffix = ".rebuilding"

// rebuilding reports whether a control store was about to be written anew and did not come
// to its end.
func (c Config) rebuilding() bool { return Rebuilding(c) != "" }

// Rebuilding gives the file of a control store that was written anew, or is, and did not
// come to its end; empty if there is none.
func Rebuilding(cfg Config) string {
	a, err := cfg.address("control")
	if err != nil || a.scheme != "" {
		return ""
	}
	if _, err := os.Stat(a.path + rebuildingSuffix); err != nil {
		return ""
	}
	return a.path + rebuildingSuffix
}

// removeStore removes a SQLite file and what SQLite keeps beside it.
func removeStore(path string) error {
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what is in the way: %w", err)
		}
	}
	return nil
}

// OpenRaw opens the raw bucket for reading, and gives what closes it.
func OpenRaw(ctx context.Context, cfg Config) (objects.Bucket, func() error, error) {
	p, err := (&opener{cfg: cfg}).bucket(ctx, "raw", true)
	if err != nil {
		return nil, nil, err
	}
	return p.bucket, p.close, nil
}

// OpenFailed opens what was set aside, and gives what closes it.
func OpenFailed(ctx context.Context, cfg Config, readOnly bool) (objects.Bucket, func() error, error) {
	p, err := (&opener{cfg: cfg}).bucket(ctx, "failed", readOnly)
	if err != nil {
		return nil, nil, err
	}
	return p.bucket, p.close, nil
}

// OpenStaging opens what transforms made, and gives what closes it.
func OpenStaging(ctx context.Context, cfg Config) (objects.Bucket, func() error, error) {
	p, err := (&opener{cfg: cfg}).bucket(ctx, "staging", false, local.Immutable())
	if err != nil {
		return nil, nil, err
	}
	return p.bucket, p.close, nil
}

// OpenHold opens the hold queue of a system, whether a process runs there or not, and
// gives what closes it.
func OpenHold(ctx context.Context, cfg Config) (holdqueue.Queue, func() error, error) {
	return (&opener{cfg: cfg}).hold(ctx)
}

// Where gives where an object of a place lies, for a person to find.
func (c Config) Where(name, key string) string {
	a, err := c.address(name)
	switch {
	case err != nil:
		return key
	case a.scheme == schemeS3:
		return a.uri() + "/" + key
	}
	return filepath.Join(a.path, filepath.FromSlash(key))
}
