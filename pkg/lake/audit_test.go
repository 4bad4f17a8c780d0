package lake_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// TestAudit tampers with staged output in every way that the audit knows.
func TestAudit(t *testing.T) {
	good := func() stagedSpec {
		return stagedSpec{file: "f", kind: dms.KindChange, token: 3, perFile: 2, changes: []change{
			report(1, "a", "/p1", 1), report(2, "b", "/p2", 2), report(3, "c", "/p3", 3), removal(4, "/p4", 4)}}
	}
	tamper := func(f func(*transform.Manifest)) func(*stagedSpec, *lake.Part) {
		return func(s *stagedSpec, _ *lake.Part) { s.tamper = f }
	}
	for name, tt := range map[string]struct {
		code   string
		spec   func(*registry.Table)
		staged func(*stagedSpec, *lake.Part)
		part   func(*lake.Part)
	}{
		"manifest missing":             {code: lake.CodeManifest, part: func(p *lake.Part) { p.ManifestKey += "x" }},
		"manifest changed":             {code: lake.CodeManifest, part: func(p *lake.Part) { p.ManifestSHA256 = hashOf([]byte("x")) }},
		"other file":                   {code: lake.CodeManifest, part: func(p *lake.Part) { p.FileID = "g" }},
		"other kind":                   {code: lake.CodeManifest, part: func(p *lake.Part) { p.Kind = dms.KindLoad }},
		"other table":                  {code: lake.CodeManifest, staged: tamper(func(m *transform.Manifest) { m.Table.Table = "x" })},
		"later token":                  {code: lake.CodeManifest, staged: tamper(func(m *transform.Manifest) { m.Token = 99 })},
		"later registration":           {code: lake.CodeManifest, staged: tamper(func(m *transform.Manifest) { m.SpecVersion = 2 })},
		"counts":                       {code: lake.CodeManifest, staged: tamper(func(m *transform.Manifest) { m.Counts.Inserts++ })},
		"hash":                         {code: lake.CodeHash, staged: tamper(func(m *transform.Manifest) { m.Rows[1].SHA256 = hashOf([]byte("x")) })},
		"size":                         {code: lake.CodeHash, staged: tamper(func(m *transform.Manifest) { m.Rows[0].Bytes++ })},
		"staged file missing":          {code: lake.CodeHash, staged: tamper(func(m *transform.Manifest) { m.Deletes[0].Key += "x" })},
		"row count":                    {code: lake.CodeHash, staged: tamper(func(m *transform.Manifest) { m.Rows[0].Rows, m.Rows[1].Rows = 1, 2 })},
		"lower key bound":              {code: lake.CodeKeyBounds, staged: tamper(func(m *transform.Manifest) { m.Rows[0].MinKey = m.Rows[0].MinKey[:14] + "00" })},
		"upper key bound":              {code: lake.CodeKeyBounds, staged: tamper(func(m *transform.Manifest) { m.Rows[1].MaxKey = m.Rows[1].MaxKey[:14] + "ff" })},
		"position range":               {code: lake.CodePosition, staged: tamper(func(m *transform.Manifest) { m.MaxPosition = "1/p2" })},
		"load rows in a change":        {code: lake.CodePosition, staged: tamper(func(m *transform.Manifest) { m.Kind = dms.KindLoad }), part: func(p *lake.Part) { p.Kind = dms.KindLoad }},
		"origin":                       {code: lake.CodeProvenance, staged: tamper(func(m *transform.Manifest) { m.FileID = "g" }), part: func(p *lake.Part) { p.FileID = "g" }},
		"row zero":                     {code: lake.CodeProvenance, staged: func(s *stagedSpec, _ *lake.Part) { s.changes[1].row = 0 }},
		"key order":                    {code: lake.CodeKeyOrder, staged: func(s *stagedSpec, _ *lake.Part) { s.changes[1] = report(1, "b", "/p2", 2) }},
		"not registered, not optional": {code: lake.CodeSchema, staged: tamper(func(m *transform.Manifest) { m.Schema[2].Required = true }), spec: func(r *registry.Table) { r.Columns = r.Columns[:2] }},
		"column twice":                 {code: lake.CodeSchema, staged: tamper(func(m *transform.Manifest) { m.Schema[2].Name = "STATUS" })},
		"field id twice":               {code: lake.CodeSchema, staged: tamper(func(m *transform.Manifest) { m.Schema[2].ID = 4 })},
		"type":                         {code: lake.CodeTypes, spec: func(r *registry.Table) { r.Columns[1].Type.Kind = registry.Binary }},
		"no key, but deletes":          {code: lake.CodeDeletes, spec: func(r *registry.Table) { r.PrimaryKey = nil }},
		"columns of the file":          {code: lake.CodeSchema, staged: tamper(func(m *transform.Manifest) { m.Schema = m.Schema[:2] })},
		"optional key in a file":       {code: lake.CodeSchema, staged: tamper(func(m *transform.Manifest) { m.Schema[0].Required = false })},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lake.DefaultConfig())
			spec, staged := reports(), good()
			var part lake.Part
			if tt.staged != nil {
				tt.staged(&staged, &part)
			}
			part = w.stage(t, spec, staged)
			if tt.part != nil {
				tt.part(&part)
			}
			if tt.spec != nil {
				tt.spec(&spec)
			}
			_, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 3, Mode: lake.Merge, Parts: []lake.Part{part}})
			var refused *lake.AuditError
			if !errors.As(err, &refused) || refused.Code != tt.code {
				t.Fatalf("got %v, want code %s", err, tt.code)
			}
			if n, err := w.lake.CountRows(t.Context(), spec.ID); !errors.Is(err, lake.ErrNoTable) && n != 0 {
				t.Fatalf("%d rows are visible (%v)", n, err)
			}
		})
	}
}

// TestAuditReadsContent damages a staged file so that its size stays.
func TestAuditReadsContent(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	part := w.stage(t, spec, stagedSpec{file: "f", kind: dms.KindChange, token: 1, changes: []change{report(1, "needle", "/p", 1)},
		damage: func(key string, data []byte) (string, []byte) {
			data = bytes.Clone(data)
			data[len(data)/3] ^= 1
			return key, data
		}})
	_, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 1, Mode: lake.Merge, Parts: []lake.Part{part}})
	var refused *lake.AuditError
	if !errors.As(err, &refused) || refused.Code != lake.CodeHash {
		t.Fatalf("got %v", err)
	}
	if bytes.Contains([]byte(err.Error()), []byte("needle")) {
		t.Fatal("the error holds a value of a row")
	}
}

// TestNullKey refuses a key that holds no value.
func TestNullKey(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	spec.Columns[0].Required = false
	c := report(1, "a", "/p", 1)
	part := w.stage(t, spec, stagedSpec{file: "f", kind: dms.KindChange, token: 1, changes: []change{c},
		damage: func(key string, data []byte) (string, []byte) { return key, data }})
	w.publish(t, spec, 1, lake.Merge, part)
	schema := transform.RowsSchema(transform.StagedColumns(spec), spec.Provenance)
	var buf bytes.Buffer
	pw := parquet.NewWriter(&buf, schema)
	row := rowOf(spec, stagedSpec{file: "g", kind: dms.KindChange}, c)
	row[0] = parquet.NullValue().Level(0, 0, 0)
	if _, err := pw.WriteRows([]parquet.Row{row}); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	part = w.stage(t, spec, stagedSpec{file: "g", kind: dms.KindChange, token: 2, changes: []change{c},
		damage: func(key string, _ []byte) (string, []byte) { return key, buf.Bytes() },
		tamper: func(m *transform.Manifest) {
			m.Rows[0].SHA256, m.Rows[0].Bytes = hashOf(buf.Bytes()), int64(buf.Len())
		}})
	_, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: 2, Mode: lake.Merge, Parts: []lake.Part{part}})
	var refused *lake.AuditError
	if !errors.As(err, &refused) || refused.Code != lake.CodeKeyOrder {
		t.Fatalf("got %v", err)
	}
}
