package lake_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// world is a lake in a folder, and a stand-in for the transform.
type world struct {
	dir     string
	lake    *lake.Lake
	staging objects.Bucket
	io      *lake.IO
	catalog *sqlite.Catalog
	cfg     lake.Config
	step    func(lake.Step) error
	ahead   time.Duration // of the lake's clock
}

// testing.TB without its private method, so that rapid's T will do.
type tester interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Helper()
}

func newWorld(t testing.TB, cfg lake.Config) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), cfg, t.Cleanup)
}

func newWorldIn(t tester, dir string, cfg lake.Config, cleanup func(func())) *world {
	t.Helper()
	w := &world{dir: dir, cfg: cfg}
	curated, err := local.New("curated", filepath.Join(dir, "curated"))
	if err != nil {
		t.Fatal(err)
	}
	if w.staging, err = local.New("staging", filepath.Join(dir, "staging")); err != nil {
		t.Fatal(err)
	}
	if w.io, err = lake.NewIO(curated, "file://"+filepath.Join(dir, "curated")); err != nil {
		t.Fatal(err)
	}
	if w.catalog, err = sqlite.Open(filepath.Join(dir, "catalog.db"), w.io); err != nil {
		t.Fatal(err)
	}
	w.lake = w.open(t, func(s lake.Step) error {
		if w.step != nil {
			return w.step(s)
		}
		return nil
	})
	cleanup(func() {
		_ = w.catalog.Close()
		_ = w.io.Close()
	})
	return w
}

func (w *world) open(t tester, step func(lake.Step) error) *lake.Lake {
	t.Helper()
	l, err := lake.Open(context.Background(), w.cfg, lake.Deps{Catalog: w.catalog, IO: w.io, Staging: w.staging, Step: step,
		Now: func() time.Time { return time.Now().Add(w.ahead) }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// reports has an integer key and a few columns of other types.
func reports() registry.Table {
	return table("rms", "reports", []string{"id"},
		registry.Column{Name: "id", Type: registry.Type{Kind: registry.Long}, Required: true},
		registry.Column{Name: "status", Type: registry.Type{Kind: registry.String}},
		registry.Column{Name: "fee", Type: registry.Type{Kind: registry.Decimal, Precision: 20, Scale: 2}})
}

func table(db, name string, key []string, cols ...registry.Column) registry.Table {
	for i := range cols {
		cols[i].ID = i + 1
	}
	n := len(cols)
	return registry.Table{
		ID: dms.TableID{DB: db, Table: name}, Version: 1, PrimaryKey: key, Columns: cols,
		Provenance: registry.Provenance{File: n + 1, Row: n + 2, Position: n + 3, Next: n + 4},
	}
}

// change is the last change of one key in a file.
type change struct {
	values  []parquet.Value // by column; of a delete the key's only
	deleted bool
	pos     string // without the class digit
	row     int64
}

// stagedSpec is what a test stages for one file.
type stagedSpec struct {
	file    string
	kind    dms.FileKind
	token   uint64
	changes []change
	perFile int                                            // rows per staged file; 0: all in one
	tamper  func(m *transform.Manifest)                    // before the manifest is written
	damage  func(key string, data []byte) (string, []byte) // what is written instead of a staged file
}

func class(kind dms.FileKind) string {
	if kind == dms.KindLoad {
		return "0"
	}
	return "1"
}

// stage writes what a transform of the table would.
func (w *world) stage(t tester, spec registry.Table, s stagedSpec) lake.Part {
	t.Helper()
	m := transform.Manifest{
		Engine: "test/1", Table: spec.ID, SpecVersion: spec.Version, FileID: dms.FileID(s.file), Token: s.token, Kind: s.kind,
		Order: dms.FileOrder(s.file), Input: transform.Input{SHA256: hashOf(nil)}, Schema: transform.StagedColumns(spec),
	}
	key := transform.KeyColumns(spec)
	var rows, deletes []change
	for _, c := range s.changes {
		pos := dms.Position(class(s.kind) + c.pos)
		if m.MinPosition == "" || pos < m.MinPosition {
			m.MinPosition = pos
		}
		m.MaxPosition = max(m.MaxPosition, pos)
		if c.deleted {
			deletes = append(deletes, c)
			m.Counts.Deletes++
		} else {
			rows = append(rows, c)
			m.Counts.Inserts++
		}
		m.Counts.RowsRead++
	}
	for _, list := range [][]change{rows, deletes} {
		if len(key) > 0 {
			slices.SortFunc(list, func(a, b change) int {
				return bytes.Compare(encodeKey(t, spec, a), encodeKey(t, spec, b))
			})
		} else {
			slices.SortFunc(list, func(a, b change) int { return cmp.Compare(a.row, b.row) })
		}
	}
	m.Rows = w.stageFiles(t, spec, s, "rows", rows, transform.RowsSchema(m.Schema, spec.Provenance))
	if len(deletes) > 0 {
		m.Deletes = w.stageFiles(t, spec, s, "deletes", deletes, transform.DeletesSchema(key, spec.Provenance))
	}
	if s.tamper != nil {
		s.tamper(&m)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	part := lake.Part{FileID: dms.FileID(s.file), Kind: s.kind, ManifestKey: transform.StagePrefix(spec.ID, dms.FileID(s.file), s.token) + transform.ManifestName, ManifestSHA256: hashOf(data)}
	w.put(t, part.ManifestKey, data)
	return part
}

func (w *world) stageFiles(t tester, spec registry.Table, s stagedSpec, name string, list []change, schema *parquet.Schema) []transform.StagedParquet {
	t.Helper()
	var out []transform.StagedParquet
	size := cmp.Or(s.perFile, len(list))
	n := 0
	for chunk := range slices.Chunk(list, max(size, 1)) {
		n++
		var buf bytes.Buffer
		pw := parquet.NewWriter(&buf, schema)
		for _, c := range chunk {
			if _, err := pw.WriteRows([]parquet.Row{rowOf(spec, s, c)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := pw.Close(); err != nil {
			t.Fatal(err)
		}
		p := transform.StagedParquet{
			Key:  fmt.Sprintf("%s%s-%05d.parquet", transform.StagePrefix(spec.ID, dms.FileID(s.file), s.token), name, n),
			Rows: int64(len(chunk)), Bytes: int64(buf.Len()), SHA256: hashOf(buf.Bytes()),
		}
		if len(spec.PrimaryKey) > 0 {
			p.MinKey = hex.EncodeToString(encodeKey(t, spec, chunk[0]))
			p.MaxKey = hex.EncodeToString(encodeKey(t, spec, chunk[len(chunk)-1]))
		}
		key, data := p.Key, buf.Bytes()
		if s.damage != nil {
			key, data = s.damage(key, data)
		}
		w.put(t, key, data)
		out = append(out, p)
	}
	return out
}

func rowOf(spec registry.Table, s stagedSpec, c change) parquet.Row {
	cols := transform.StagedColumns(spec)
	if c.deleted {
		cols = transform.KeyColumns(spec)
	}
	var row parquet.Row
	for i, v := range c.values {
		level := 1
		if v.IsNull() || cols[i].Required || c.deleted {
			level = 0
		}
		row = append(row, v.Level(0, level, i))
	}
	n := len(row)
	return append(row,
		parquet.ByteArrayValue([]byte(s.file)).Level(0, 0, n), parquet.Int64Value(c.row).Level(0, 0, n+1),
		parquet.ByteArrayValue([]byte(class(s.kind)+c.pos)).Level(0, 0, n+2))
}

func encodeKey(t tester, spec registry.Table, c change) []byte {
	t.Helper()
	var types []registry.Type
	var values []parquet.Value
	for i, k := range transform.KeyColumns(spec) {
		types = append(types, k.Type)
		if c.deleted {
			values = append(values, c.values[i])
			continue
		}
		for j, col := range spec.Columns {
			if col.ID == k.ID {
				values = append(values, c.values[j])
			}
		}
	}
	b, err := transform.EncodeKey(nil, types, values)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (w *world) put(t tester, key string, data []byte) {
	t.Helper()
	out, err := w.staging.Create(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(data); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// text values for the reports table.
func report(id int64, status, pos string, row int64) change {
	v := parquet.NullValue()
	if status != "" {
		v = parquet.ByteArrayValue([]byte(status))
	}
	return change{values: []parquet.Value{parquet.Int64Value(id), v, decimal(id*100 - 5000)}, pos: pos, row: row}
}

func removal(id int64, pos string, row int64) change {
	return change{values: []parquet.Value{parquet.Int64Value(id)}, deleted: true, pos: pos, row: row}
}

// decimal gives nine bytes, as precision 20 takes.
func decimal(n int64) parquet.Value {
	b := make([]byte, 9)
	if n < 0 {
		b[0] = 0xff
	}
	for i := 8; i > 0; i-- {
		b[i] = byte(n)
		n >>= 8
	}
	return parquet.FixedLenByteArrayValue(b)
}

// rows reads a table as text: values joined by "|", null as \N.
func (w *world) rows(t tester, id dms.TableID) []string {
	t.Helper()
	set, err := w.lake.Rows(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for row, err := range set.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		line := ""
		for i, v := range row.Values {
			if i > 0 {
				line += "|"
			}
			if v.IsNull() {
				line += `\N`
			} else {
				line += lake.FormatValue(set.Columns[i].Type, v)
			}
		}
		out = append(out, line)
	}
	n, err := w.lake.CountRows(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len(out)) {
		t.Fatalf("CountRows says %d, %d rows are read", n, len(out))
	}
	return out
}

func (w *world) publish(t tester, spec registry.Table, token uint64, mode lake.Mode, parts ...lake.Part) lake.Result {
	t.Helper()
	r, err := w.lake.Publish(context.Background(), lake.Request{Spec: spec, Token: token, Mode: mode, Generation: 1, Parts: parts})
	if err != nil {
		t.Fatal(err)
	}
	if r.RowsHash != "" {
		w.checkRowsHash(t, spec.ID, r)
	}
	return r
}

// checkRowsHash compares the hash that a commit gives with that of the rows.
func (w *world) checkRowsHash(t tester, id dms.TableID, r lake.Result) {
	t.Helper()
	set, err := w.lake.RowsAt(context.Background(), id, r.SnapshotID)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := set.Hash(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.RowsHash != hash.String() {
		t.Fatalf("the commit of token %d (%s) gives another hash than that of its %d rows", r.Token, r.Strategy, r.TableRows)
	}
}
