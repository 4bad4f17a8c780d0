package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/laketest"
	"github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/pkg/objects/local"
)

func TestContract(t *testing.T) {
	laketest.Run(t, func(t *testing.T) laketest.Site {
		dir := t.TempDir()
		bucket, err := local.New("curated", filepath.Join(dir, "curated"))
		if err != nil {
			t.Fatal(err)
		}
		io, err := lake.NewIO(bucket, "file://"+filepath.Join(dir, "curated"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = io.Close() })
		return laketest.Site{IO: io, Namespace: "rms", Open: func(t *testing.T) lake.Catalog {
			c, err := sqlite.Open(filepath.Join(dir, "catalog.db"), io)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		}}
	})
}
