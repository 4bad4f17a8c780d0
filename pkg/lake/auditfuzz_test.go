package lake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// heldBucket gives the objects that it was made of.
type heldBucket struct {
	objects.Bucket
	content map[string][]byte
}

type heldReader struct {
	*bytes.Reader
	info objects.Info
}

func (r heldReader) Info() objects.Info { return r.info }
func (r heldReader) Close() error       { return nil }

func (b heldBucket) Open(_ context.Context, key string, _ objects.Version) (objects.Reader, error) {
	data, ok := b.content[key]
	if !ok {
		return nil, objects.ErrNotFound
	}
	return heldReader{bytes.NewReader(data), objects.Info{Key: key, Size: int64(len(data))}}, nil
}

// auditedTable is what the staged output of the fuzz target is about.
func auditedTable() registry.Table {
	op, seq := "Op", "seq"
	return registry.Table{
		ID: dms.TableID{DB: "rms", Table: "reports"}, Version: 1, PrimaryKey: []string{"id"},
		DMS: registry.Settings{Format: registry.FormatCSV, Delimiter: ",", OpColumn: &op, ChangeSeqColumn: &seq},
		Columns: []registry.Column{
			{ID: 1, Name: "id", Type: kindOf(registry.Long), Required: true},
			{ID: 2, Name: "status", Type: kindOf(registry.String)},
			{ID: 3, Name: "fee", Type: registry.Type{Kind: registry.Decimal, Precision: 10, Scale: 2}},
		},
		Provenance: registry.Provenance{File: 4, Row: 5, Position: 6, Next: 7},
	}
}

const auditedRows, auditedDeletes = "rows", "deletes"

// audited is staged output: of the table's change file, by the true transform.
type audited struct{ manifest, rows, deletes []byte }

func stageAudited(f *testing.F, text string) audited {
	f.Helper()
	dir := f.TempDir()
	raw, err := local.New("raw", dir+"/raw")
	if err != nil {
		f.Fatal(err)
	}
	staging, err := local.New("staging", dir+"/staging")
	if err != nil {
		f.Fatal(err)
	}
	const key = "20240115-070100000.csv"
	w, err := raw.Create(f.Context(), key)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		f.Fatal(err)
	}
	info, err := w.Commit(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	o := dms.Object{Bucket: "raw", Key: key, ETag: info.ETag, Size: info.Size, LastModified: time.Unix(1_700_000_000, 0).UTC()}
	name, _ := dms.ParseName(key, dms.NameRules{})
	file := dms.File{ID: "f", Object: o, Kind: name.Kind, Order: dms.NewFileOrder(name, o.LastModified, "f")}
	result, err := transform.Run(f.Context(), transform.DefaultConfig(), transform.Deps{Raw: raw, Staging: staging},
		transform.Job{Table: auditedTable(), File: file, Token: 1})
	if err != nil {
		f.Fatal(err)
	}
	read := func(list []transform.StagedParquet, key string) []byte {
		if len(list) == 0 {
			return nil
		}
		r, err := staging.Open(f.Context(), list[0].Key, objects.Version{})
		if err != nil {
			f.Fatal(err)
		}
		defer r.Close()
		data := make([]byte, r.Info().Size)
		if _, err := r.ReadAt(data, 0); err != nil {
			f.Fatal(err)
		}
		list[0].Key = key
		return data
	}
	m := result.Manifest
	a := audited{rows: read(m.Rows, auditedRows), deletes: read(m.Deletes, auditedDeletes)}
	if a.manifest, err = json.Marshal(m); err != nil {
		f.Fatal(err)
	}
	return a
}

// vouch has a manifest name the true hashes and sizes of the content, as an engine
// would that wrote it so. What is no manifest stays as it is.
func vouch(manifest []byte, content map[string][]byte) []byte {
	var m map[string]any
	if json.Unmarshal(manifest, &m) != nil {
		return manifest
	}
	for _, list := range []string{"rows", "deletes"} {
		files, _ := m[list].([]any)
		for _, f := range files {
			if file, ok := f.(map[string]any); ok {
				if key, ok := file["key"].(string); ok && content[key] != nil {
					sum := sha256.Sum256(content[key])
					file["sha256"], file["bytes"] = hex.EncodeToString(sum[:]), len(content[key])
				}
			}
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		return manifest
	}
	return out
}

// place is where a staged row says that it belongs.
type place struct {
	id, row        int64
	file, position string
}

// walk audits a manifest whole, and gives the rows and deletes that it accepts.
func walk(l *Lake, manifest []byte) (m transform.Manifest, places [2][]place, err error) {
	sum := sha256.Sum256(manifest)
	spec := auditedTable()
	req := Request{Spec: spec, Token: 1, Mode: Merge, Parts: []Part{{
		FileID: "f", Kind: dms.KindChange, ManifestKey: "manifest", ManifestSHA256: hex.EncodeToString(sum[:])}}}
	parts, err := l.audit(context.Background(), req)
	if err != nil {
		return m, places, err
	}
	for i, files := range [][]*stagedFile{parts[0].rows, parts[0].deletes} {
		c := l.newStagedCursor(parts[0], files, spec)
		for {
			ok, err := c.next(context.Background())
			if err != nil || !ok {
				if err = errors.Join(err, c.close()); err != nil {
					return m, places, err
				}
				break
			}
			places[i] = append(places[i], place{id: c.rows.value(0).Int64(), row: c.row,
				file: string(c.rows.value(1).ByteArray()), position: string(c.pos)})
		}
	}
	return parts[0].manifest, places, nil
}

// readPlaces reads a staged file with Arrow; false if Arrow cannot.
func readPlaces(data []byte) (places []place, ok bool) {
	defer func() {
		if recover() != nil {
			places, ok = nil, false
		}
	}()
	table, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(data), nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return nil, false
	}
	defer table.Release()
	column := func(name string, each func(i int, a arrow.Array, at int)) bool {
		found := table.Schema().FieldIndices(name)
		if len(found) != 1 {
			return false
		}
		n := 0
		for _, chunk := range table.Column(found[0]).Data().Chunks() {
			for at := range chunk.Len() {
				each(n, chunk, at)
				n++
			}
		}
		return n == len(places)
	}
	places = make([]place, table.NumRows())
	ok = column("id", func(i int, a arrow.Array, at int) { places[i].id = a.(*array.Int64).Value(at) }) &&
		column("_blotter_row", func(i int, a arrow.Array, at int) { places[i].row = a.(*array.Int64).Value(at) }) &&
		column("_blotter_file", func(i int, a arrow.Array, at int) { places[i].file = a.(*array.String).Value(at) }) &&
		column("_blotter_position", func(i int, a arrow.Array, at int) { places[i].position = a.(*array.String).Value(at) })
	return places, ok
}

// FuzzAudit: whatever stands in staging, the audit refuses it or finds in it what
// Arrow finds, as many rows as the manifest says, in the order and the bounds that
// it says. Of content that the manifest does not vouch for nothing is accepted.
func FuzzAudit(f *testing.F) {
	seq := func(n int) string { return fmt.Sprintf("%035d", n) }
	for _, text := range []string{
		"I,1,open,1.50," + seq(1) + "\nU,2,,," + seq(2) + "\nD,3,,," + seq(3) + "\n",
		"I,1,open,1.50," + seq(1) + "\nU,1,shut,2.50," + seq(2) + "\n",
		"D,9,,," + seq(1) + "\nD,8,,," + seq(2) + "\n",
		"",
	} {
		a := stageAudited(f, text)
		f.Add(a.manifest, a.rows, a.deletes, uint16(0), byte(0), false)
		for _, vouched := range []bool{false, true} {
			for at := uint16(5); int(at) < len(a.rows); at += 97 {
				f.Add(a.manifest, a.rows, a.deletes, at, byte(0x11), vouched)
			}
		}
		f.Add(a.manifest, a.deletes, a.rows, uint16(0), byte(0), true)
		f.Add(bytes.Replace(a.manifest, []byte(auditedRows), []byte("../rows"), 1), a.rows, a.deletes, uint16(0), byte(0), true)
		f.Add(bytes.ReplaceAll(a.manifest, []byte(`"rows":2`), []byte(`"rows":1`)), a.rows, a.deletes, uint16(0), byte(0), true)
	}
	f.Fuzz(func(t *testing.T, manifest, rows, deletes []byte, at uint16, with byte, vouched bool) {
		if rows = bytes.Clone(rows); int(at) < len(rows) {
			rows[at] ^= with
		}
		content := map[string][]byte{auditedRows: rows, auditedDeletes: deletes}
		if vouched {
			manifest = vouch(manifest, content)
		}
		content["manifest"] = manifest
		l := &Lake{cfg: DefaultConfig(), staging: heldBucket{content: content}, log: slog.New(slog.DiscardHandler)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, places, err := walk(l, manifest)
		runtime.ReadMemStats(&after)
		if used, size := after.TotalAlloc-before.TotalAlloc, len(manifest)+len(rows)+len(deletes); used > 64<<20+1024*uint64(size) {
			t.Fatalf("%d bytes are allocated for %d that are staged", used, size)
		}
		if err == nil {
			checkAccepted(t, m, places, content)
		}
	})
}

// checkAccepted holds what the audit took against the content.
func checkAccepted(t *testing.T, m transform.Manifest, places [2][]place, content map[string][]byte) {
	t.Helper()
	for i, files := range [][]transform.StagedParquet{m.Rows, m.Deletes} {
		var want []place
		var said int64
		readable := true
		for _, f := range files {
			sum := sha256.Sum256(content[f.Key])
			if hex.EncodeToString(sum[:]) != f.SHA256 || content[f.Key] == nil {
				t.Fatalf("%s is accepted, and is not what the manifest names", path.Base(f.Key))
			}
			said += f.Rows
			found, ok := readPlaces(content[f.Key])
			readable = readable && ok
			want = append(want, found...)
		}
		if int64(len(places[i])) != said {
			t.Fatalf("%d rows are accepted, the manifest says %d", len(places[i]), said)
		}
		if readable && !slices.Equal(places[i], want) {
			t.Fatalf("accepted are %+v, Arrow reads %+v", places[i], want)
		}
		for n, p := range places[i] {
			if n > 0 && p.id <= places[i][n-1].id || p.file != string(m.FileID) || p.row < 1 ||
				p.position < string(m.MinPosition) || p.position > string(m.MaxPosition) {
				t.Fatalf("row %d is accepted: %+v", n, p)
			}
		}
	}
}
