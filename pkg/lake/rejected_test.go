package lake_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// transformed stages a change file with Go's own engine, bad rows set aside.
func (w *world) transformed(t *testing.T, spec registry.Table, content string) *transform.Result {
	t.Helper()
	raw, err := local.New("raw", filepath.Join(t.TempDir(), "raw"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := raw.Create(t.Context(), "20240304-060000000.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	info, err := out.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := dms.Object{Bucket: "raw", Key: info.Key, ETag: info.ETag, Size: info.Size, LastModified: time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)}
	id := dms.NewFileID(o, dms.KindChange)
	file := dms.File{ID: id, Object: o, Kind: dms.KindChange, Order: dms.FileOrder("T1/2/" + id)}
	cfg := transform.DefaultConfig()
	cfg.ScratchDir = t.TempDir()
	r, err := transform.Run(t.Context(), cfg, transform.Deps{Raw: raw, Staging: w.staging}, transform.Job{Table: spec, File: file, Token: 3})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRejectedRowsAreAudited: a file is published without its bad rows, and only
// if these are all there.
func TestRejectedRowsAreAudited(t *testing.T) {
	op := "Op"
	for name, tt := range map[string]struct {
		code   string
		tamper func(*transform.Manifest)
	}{
		"whole":         {tamper: func(*transform.Manifest) {}},
		"missing":       {lake.CodeHash, func(m *transform.Manifest) { m.Rejected[0].Key += "x" }},
		"other content": {lake.CodeHash, func(m *transform.Manifest) { m.Rejected[0].SHA256 = hashOf([]byte("x")) }},
		"no such file": {lake.CodeHash, func(m *transform.Manifest) {
			m.Rejected[0].Key, m.Rejected[0].SHA256 = m.Rows[0].Key, m.Rows[0].SHA256
		}},
		"fewer":         {lake.CodeRowCount, func(m *transform.Manifest) { m.Rejected[0].Rows, m.Counts.Rejected, m.Counts.RowsRead = 2, 2, 3 }},
		"none":          {lake.CodeManifest, func(m *transform.Manifest) { m.Rejected = nil }},
		"not counted":   {lake.CodeManifest, func(m *transform.Manifest) { m.Counts.Rejected = 0 }},
		"of other rows": {lake.CodeProvenance, func(m *transform.Manifest) { m.FileID = "g" }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lake.DefaultConfig())
			spec := reports()
			spec.OnBadRow = registry.OnBadRowQuarantine
			spec.DMS = registry.Settings{Format: registry.FormatCSV, Header: true, Delimiter: ",", OpColumn: &op}
			m := w.transformed(t, spec, "Op,id,status\nI,1,a\nI,two,b\n").Manifest
			tt.tamper(&m)
			data, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			w.put(t, "tampered.json", data)
			r, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 3, Mode: lake.Merge, Parts: []lake.Part{
				{FileID: m.FileID, Kind: m.Kind, ManifestKey: "tampered.json", ManifestSHA256: hashOf(data)}}})
			if tt.code == "" {
				if err != nil || r.Files[0].Counts.Rejected != 1 || r.TableRows != 1 {
					t.Errorf("published %+v (%v)", r, err)
				}
				return
			}
			var refused *lake.AuditError
			if !errors.As(err, &refused) || refused.Code != tt.code {
				t.Errorf("got %v, want code %s", err, tt.code)
			}
		})
	}
}
