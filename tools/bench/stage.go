package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	jobslocal "github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
)

// stageVariable is set for a process of this program that is there to stage one
// file, so that its memory is that of the transform alone.
const stageVariable = "BLOTTER_BENCH_STAGE"

// stageTask is what such a process does, as JSON in stageVariable.
type stageTask struct {
	Dir          string // holds the folders raw and staging
	Key          string // of the object in raw
	Registration string
}

// staged is what it prints, as JSON.
type staged struct {
	Rows    int64 // read
	Keys    int64 // rows staged, each key once
	Bytes   int64 // of the object
	Files   int
	Seconds float64
}

// stage reads and stages one load file, as lambda-transformer does in process:
// nothing about the memory is set.
func stage(ctx context.Context, task stageTask) (_ staged, err error) {
	var buckets []*local.Bucket
	for _, name := range []string{"raw", "staging"} {
		b, err := local.New(name, filepath.Join(task.Dir, name))
		if err != nil {
			return staged{}, err
		}
		buckets = append(buckets, b)
	}
	raw, staging := buckets[0], buckets[1]
	defer func() { err = errors.Join(err, raw.Close(), staging.Close()) }()
	job, err := loadJob(ctx, raw, task)
	if err != nil {
		return staged{}, err
	}
	began := time.Now()
	file, err := jobslocal.New(raw, staging, nil, transform.DefaultConfig()).Run(ctx, job)
	if err != nil {
		return staged{}, err
	}
	seconds := time.Since(began).Seconds()
	m, err := transform.ReadManifest(ctx, staging, file.GetManifestKey(), file.GetManifestSha256())
	if err != nil {
		return staged{}, err
	}
	done := staged{Rows: m.Counts.RowsRead, Bytes: m.Input.Bytes, Files: len(m.Rows), Seconds: seconds}
	for _, f := range m.Rows {
		done.Keys += f.Rows
	}
	return done, nil
}

// loadJob makes a job of the task's load file.
func loadJob(ctx context.Context, raw objects.Bucket, task stageTask) (jobs.Job, error) {
	tables, err := registry.Parse([]byte(task.Registration), "the registration of the benchmark")
	if err != nil {
		return jobs.Job{}, err
	}
	table, err := registry.AssignIDs(nil, tables[0])
	if err != nil {
		return jobs.Job{}, err
	}
	table.Version = 1
	info, err := raw.Stat(ctx, task.Key)
	if err != nil {
		return jobs.Job{}, err
	}
	name, ignored := dms.ParseName(path.Base(task.Key), dms.NameRules{})
	if ignored != nil {
		return jobs.Job{}, fmt.Errorf("%s: %s", task.Key, ignored.Detail)
	}
	o := dms.Object{Bucket: raw.Name(), Key: task.Key, VersionID: info.VersionID, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified}
	id := dms.NewFileID(o, name.Kind)
	file := dms.File{ID: id, Object: o, Kind: name.Kind, Order: dms.NewFileOrder(name, o.LastModified, id)}
	return jobs.Job{Table: table, File: wire.FileRef(file), Token: 1}, nil
}

// stageAsTold does the task that stageVariable holds, and prints how it went.
func stageAsTold(ctx context.Context, text string) error {
	var task stageTask
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		return fmt.Errorf("read %s: %w", stageVariable, err)
	}
	done, err := stage(ctx, task)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(done)
}
