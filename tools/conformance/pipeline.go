package main

import (
	"context"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/cases"
)

// Pipeline is a whole pipeline with nothing in it yet: all services, the bus,
// the stores and the lake. It is used by one goroutine.
type Pipeline interface {
	// Register registers tables as `blotter apply` would, and returns when files
	// of them may come.
	Register(ctx context.Context, tables []registry.Table) error
	// Deliver writes the object into the raw bucket (unless it is delivered
	// again) and tells the pipeline of it once, as its event source would. It
	// gives the identity by which the pipeline knows the file.
	Deliver(ctx context.Context, d Delivery) (dms.FileID, error)
	// Settle waits until nothing is left to do: every delivered file has been
	// published, ignored or set aside, or waits for a load or an operator.
	Settle(ctx context.Context) error
	// Outcome tells what has become of a file so far, and why.
	Outcome(ctx context.Context, file dms.FileID) (cases.Result, error)
	// ResumeSkip resumes the table that a quarantined file paused, with the file
	// skipped.
	ResumeSkip(ctx context.Context, file dms.FileID) error
	// LoadComplete says that the load of a table is complete, as an operator who
	// has seen gaps and shrunken tables and confirms them. It does nothing where
	// no load is open.
	LoadComplete(ctx context.Context, table dms.TableID) error
	// Rows reads a table back through the catalog, in the text form of
	// cases.Cell. A table that was never published has its registered columns
	// and no rows.
	Rows(ctx context.Context, table dms.TableID) (cases.Rows, error)
	// Close stops the pipeline and frees what it holds.
	Close() error
}

// Delivery is one object, delivered.
type Delivery struct {
	Key string // the true key
	// NotificationKey is the key as an S3 notification spells it, URL-encoded;
	// empty if it is spelled like Key.
	NotificationKey string
	Content         string // path of a file with the object's bytes; empty: it has none
	LastModified    time.Time
	ETag            string // as S3 would tell it; a local bucket has its own
	// Redeliver: the object lies in the bucket already, the same event comes again.
	Redeliver bool
}

// key is the true key, as the notification tells it.
func (d Delivery) key() (string, error) {
	if d.NotificationKey == "" {
		return d.Key, nil
	}
	return dms.DecodeNotificationKey(d.NotificationKey)
}

// Engine is where the transforms of pipelines run.
type Engine struct {
	// Prepare sets up, once and outside of the time of any case, what all pipelines
	// share; nil: nothing.
	Prepare func(ctx context.Context) error
	Open    Factory
}

// Factory makes a fresh pipeline that keeps everything below an empty folder.
type Factory func(ctx context.Context, dir string) (Pipeline, error)
