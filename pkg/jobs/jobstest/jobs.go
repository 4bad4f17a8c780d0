package jobstest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
)

// Buckets makes an empty raw and an empty staging bucket in temporary folders.
func Buckets(t *testing.T) (raw, staging objects.Bucket) {
	t.Helper()
	open := func(name string) objects.Bucket {
		b, err := local.New(name, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		return b
	}
	return open("raw"), open("staging")
}

// table is what the jobs of the suite work on.
func table() registry.Table {
	op, ts := "Op", "commit_ts"
	return registry.Table{
		ID: dms.TableID{DB: "rms", Table: "reports"}, Version: 2, Prefix: "dms/", Path: "rms/reports/", Flag: registry.FlagLambda,
		DMS:        registry.Settings{Format: registry.FormatCSV, Delimiter: ",", OpColumn: &op, TimestampColumn: &ts},
		PrimaryKey: []string{"id"},
		Columns: []registry.Column{
			{ID: 1, Name: "id", Type: registry.Type{Kind: registry.Long}, Required: true},
			{ID: 2, Name: "status", Type: registry.Type{Kind: registry.String}},
		},
		Provenance: registry.Provenance{File: 3, Row: 4, Position: 5, Next: 6},
	}
}

// PutJob puts a file of the suite's table into raw and makes a job of it.
func PutJob(t *testing.T, raw objects.Bucket, key, content string) jobs.Job {
	t.Helper()
	info := write(t, raw, key, content)
	name, why := dms.ParseName(key[strings.LastIndexByte(key, '/')+1:], dms.NameRules{})
	if why != nil {
		t.Fatal(why.Detail)
	}
	o := dms.Object{Bucket: raw.Name(), Key: key, VersionID: info.VersionID, ETag: info.ETag, Size: info.Size,
		LastModified: time.Date(2024, 1, 15, 8, 0, 0, 0, time.UTC)}
	id := dms.NewFileID(o, name.Kind)
	ref := wire.FileRef(dms.File{ID: id, Object: o, Kind: name.Kind, Order: dms.NewFileOrder(name, o.LastModified, id)})
	return jobs.Job{Table: table(), File: ref, Token: 11}
}

func write(t *testing.T, b objects.Bucket, key, content string) objects.Info {
	t.Helper()
	w, err := b.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := b.Stat(context.WithoutCancel(t.Context()), key)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// LoadJob puts a load file of three rows, two of one key, into raw and makes a
// job of it.
func LoadJob(t *testing.T, raw objects.Bucket) jobs.Job {
	t.Helper()
	return PutJob(t, raw, "dms/rms/reports/LOAD00000001.csv",
		"2024-01-15 07:00:00,1,NEW\n2024-01-15 07:00:00,2,NEW\n2024-01-15 07:00:00,1,OPEN\n")
}

// changeJob: an insert, an update of it, and a delete.
func changeJob(t *testing.T, raw objects.Bucket) jobs.Job {
	t.Helper()
	return PutJob(t, raw, "dms/rms/reports/20240115-070100000.csv",
		"I,2024-01-15 07:00:30,5,NEW\nU,2024-01-15 07:00:31,5,SENT\nD,2024-01-15 07:00:32,9,\n")
}
