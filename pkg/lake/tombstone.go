package lake

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// The columns of files of remembered deletes.
var (
	tombstoneKey      = registry.Column{ID: 1, Name: "key", Type: registry.Type{Kind: registry.Binary}, Required: true}
	tombstonePosition = registry.Column{ID: 2, Name: "position", Type: registry.Type{Kind: registry.String}, Required: true}
	tombstoneRow      = registry.Column{ID: 3, Name: "row", Type: registry.Type{Kind: registry.Long}, Required: true}
	tombstoneFile     = registry.Column{ID: 4, Name: "file", Type: registry.Type{Kind: registry.String}, Required: true}
)

func tombstoneJoin() joinColumns {
	return joinColumns{key: []registry.Column{tombstoneKey}, rawKey: true,
		origin: originColumns{file: tombstoneFile, row: tombstoneRow, position: tombstonePosition}}
}

// tombstoneSchema stands in the order of the names, as parquet.Group has it.
func tombstoneSchema() *parquet.Schema {
	dict := func(n parquet.Node) parquet.Node { return parquet.Encoded(n, &parquet.RLEDictionary) }
	field := func(n parquet.Node, id int) parquet.Node {
		return parquet.FieldID(parquet.Required(parquet.Compressed(n, &parquet.Zstd)), id)
	}
	return parquet.NewSchema("tombstones", parquet.Group{
		"file":     field(dict(parquet.String()), 4),
		"key":      field(parquet.Encoded(parquet.Leaf(parquet.ByteArrayType), &parquet.Plain), 1),
		"position": field(dict(parquet.String()), 2),
		"row":      field(parquet.Encoded(parquet.Leaf(parquet.Int64Type), &parquet.Plain), 3),
	})
}

// tombstoneWriter writes one file of remembered deletes, in key order.
type tombstoneWriter struct {
	out   objects.Writer
	hash  hash.Hash
	bytes int64
	w     *parquet.GenericWriter[any]
	key   string
	rows  int64
	first []byte
	last  []byte
	buf   parquet.Row
}

func (l *Lake) newTombstoneWriter(ctx context.Context, id dms.TableID) (*tombstoneWriter, error) {
	key := tombstoneFolder(id) + "/" + uuid.NewString() + ".parquet"
	out, err := l.bucket.Create(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	t := &tombstoneWriter{out: out, hash: sha256.New(), key: key}
	t.w = parquet.NewGenericWriter[any](t, tombstoneSchema(), parquet.CreatedBy(writerName, writerVersion, "tombstones"),
		parquet.MaxRowsPerRowGroup(1<<17), parquet.DictionaryMaxBytes(1<<20))
	return t, nil
}

// Write takes the bytes of the Parquet file.
func (t *tombstoneWriter) Write(p []byte) (int, error) {
	n, err := t.out.Write(p)
	t.hash.Write(p[:n])
	t.bytes += int64(n)
	return n, err
}

func (t *tombstoneWriter) add(key, pos []byte, row int64, file string) error {
	if t.rows == 0 {
		t.first = bytes.Clone(key)
	}
	t.last = append(t.last[:0], key...)
	t.rows++
	t.buf = append(t.buf[:0],
		parquet.ByteArrayValue([]byte(file)).Level(0, 0, 0), parquet.ByteArrayValue(key).Level(0, 0, 1),
		parquet.ByteArrayValue(pos).Level(0, 0, 2), parquet.Int64Value(row).Level(0, 0, 3))
	_, err := t.w.WriteRows([]parquet.Row{t.buf})
	return err
}

// commit makes the file durable.
func (t *tombstoneWriter) commit(ctx context.Context) (Tombstone, error) {
	if err := t.w.Close(); err != nil {
		return Tombstone{}, errors.Join(fmt.Errorf("write %s: %w", t.key, err), t.out.Abort())
	}
	if _, err := t.out.Commit(ctx); err != nil {
		return Tombstone{}, fmt.Errorf("write %s: %w", t.key, err)
	}
	return Tombstone{
		Key: t.key, SHA256: hex.EncodeToString(t.hash.Sum(nil)), Bytes: t.bytes, Rows: t.rows,
		MinKey: hex.EncodeToString(t.first), MaxKey: hex.EncodeToString(t.last),
	}, nil
}

// openTombstone opens a file of remembered deletes. Its hash is verified once
// by each Lake, and again when that has forgotten it. One that is gone or altered is a
// *DamagedError.
func (l *Lake) openTombstone(ctx context.Context, t Tombstone) (*parquet.File, io.Closer, error) {
	object, err := l.bucket.Open(ctx, t.Key, objects.Version{})
	if err != nil {
		return nil, nil, fmt.Errorf("open remembered deletes: %w", l.unreadTombstone(t, err))
	}
	err = l.checkTombstone(object, t)
	var file *parquet.File
	if err == nil {
		if file, err = parquet.OpenFile(object, t.Bytes, parquet.SkipBloomFilters(true)); err != nil { // its hash may be known of before
			err = cmp.Or(hashedAs(object, t), err)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open remembered deletes: %w", l.unreadTombstone(t, err)), object.Close())
	}
	return file, object, nil
}

// errNotAsWritten: a file has other bytes than the table's properties say.
var errNotAsWritten = errors.New("it is not what was written")

func (l *Lake) checkTombstone(object objects.Reader, t Tombstone) error {
	if _, ok := l.verified.Get(t.Key); ok {
		return sizedAs(object, t)
	}
	if err := asWritten(object, t); err != nil {
		return err
	}
	l.verified.Add(t.Key, struct{}{})
	return nil
}

// asWritten fails with errNotAsWritten unless an object has the bytes of then.
func asWritten(object objects.Reader, t Tombstone) error {
	if err := sizedAs(object, t); err != nil {
		return err
	}
	return hashedAs(object, t)
}

func sizedAs(object objects.Reader, t Tombstone) error {
	if size := object.Info().Size; size != t.Bytes {
		return fmt.Errorf("%w: %d bytes, the table's properties say %d", errNotAsWritten, size, t.Bytes)
	}
	return nil
}

func hashedAs(object objects.Reader, t Tombstone) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(object, 0, t.Bytes)); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); sum != t.SHA256 {
		return fmt.Errorf("%w: its SHA-256 is %s, the table's properties say %s", errNotAsWritten, sum, t.SHA256)
	}
	return nil
}

// unreadTombstone says why a file of remembered deletes could not be read: what is gone, or
// not as it was written, is a *DamagedError. It is hashed again when it is opened next.
func (l *Lake) unreadTombstone(t Tombstone, err error) error {
	l.verified.Remove(t.Key)
	if errors.Is(err, errNotAsWritten) || Damaged(err) {
		return &DamagedError{Location: l.io.URI(t.Key), Err: err}
	}
	return fmt.Errorf("%s: %w", t.Key, err)
}

// VerifyTombstones reads the files of remembered deletes that a table's properties name, and
// tells of each whose bytes are not those of then. One that is gone is left to Missing.
func (l *Lake) VerifyTombstones(ctx context.Context, id dms.TableID, wrong func(object string, err error)) error {
	tbl, err := l.load(ctx, id)
	if err != nil {
		return err
	}
	state, err := readState(tbl.Properties())
	if err != nil {
		return err
	}
	for _, t := range state.tombstones {
		err := l.verifyTombstone(ctx, t)
		switch {
		case errors.Is(err, errNotAsWritten):
			wrong(t.Key, err)
		case err != nil && !errors.Is(err, objects.ErrNotFound):
			return fmt.Errorf("read remembered deletes %s: %w", t.Key, err)
		}
	}
	return nil
}

func (l *Lake) verifyTombstone(ctx context.Context, t Tombstone) error {
	object, err := l.bucket.Open(ctx, t.Key, objects.Version{})
	if err != nil {
		return err
	}
	return errors.Join(asWritten(object, t), object.Close(), ctx.Err())
}

// probeTombstones drops the changes of a window that a remembered delete has
// overtaken. from holds, by file, where the last window ended.
func (l *Lake) probeTombstones(ctx context.Context, list []Tombstone, from []int64, w *window) error {
	low, high := hex.EncodeToString(w.min()), hex.EncodeToString(w.max())
	for n, t := range list {
		if t.MaxKey < low || t.MinKey > high {
			continue
		}
		if err := l.probeTombstone(ctx, t, &from[n], w); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lake) probeTombstone(ctx context.Context, t Tombstone, from *int64, w *window) (err error) {
	file, closer, err := l.openTombstone(ctx, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	j, err := newJoin(file, tombstoneJoin())
	if err != nil {
		return fmt.Errorf("read remembered deletes: %w", l.unreadTombstone(t, err))
	}
	err = j.sorted(ctx, w, from, func(i int, _ int64, from origin) error {
		// A remembered delete that comes again is taken once more: if the table was rolled
		// back to before it, it has the row still.
		if w.overtaken(i, from.pos, from.row) && !w.at(i, from.pos, from.row) {
			w.dead[i] = true
		}
		return nil
	})
	if err = errors.Join(err, j.close()); err != nil {
		return fmt.Errorf("read remembered deletes: %w", l.unreadTombstone(t, err))
	}
	return nil
}

// compactTombstones merges the smaller files when there are too many: as many
// as together outweigh the next larger one, so that each row is rewritten a
// logarithmic number of times.
func (l *Lake) compactTombstones(ctx context.Context, id dms.TableID, list []Tombstone) ([]Tombstone, error) {
	if len(list) <= l.cfg.MaxTombstoneFiles {
		return list, nil
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Tombstone) int { return int(min(max(a.Rows-b.Rows, -1), 1)) })
	n, sum := 2, list[0].Rows+list[1].Rows
	for n < len(list) && (list[n].Rows <= 2*sum || len(list)-n >= l.cfg.MaxTombstoneFiles) {
		sum += list[n].Rows
		n++
	}
	merged, err := l.mergeTombstones(ctx, id, list[:n])
	if err != nil {
		return nil, fmt.Errorf("merge remembered deletes: %w", err)
	}
	return append(slices.Clone(list[n:]), merged), nil
}

// tombstoneCursor walks one file while files are merged.
type tombstoneCursor struct {
	*rowReader
	of Tombstone
}

func (c *tombstoneCursor) key() []byte { return c.value(0).ByteArray() }

func (c *tombstoneCursor) later(d *tombstoneCursor) bool {
	return later(c.value(1).ByteArray(), c.value(2).Int64(), d.value(1).ByteArray(), d.value(2).Int64())
}

func (l *Lake) mergeTombstones(ctx context.Context, id dms.TableID, list []Tombstone) (merged Tombstone, err error) {
	h := minHeap[*tombstoneCursor]{less: func(a, b *tombstoneCursor) bool {
		if c := bytes.Compare(a.key(), b.key()); c != 0 {
			return c < 0
		}
		return a.later(b)
	}}
	for _, t := range list {
		file, closer, err := l.openTombstone(ctx, t)
		if err != nil {
			return merged, err
		}
		defer func() { err = errors.Join(err, closer.Close()) }()
		r, err := newRowReader(file, []registry.Column{tombstoneKey, tombstonePosition, tombstoneRow, tombstoneFile})
		if err != nil {
			return merged, l.unreadTombstone(t, err)
		}
		c := &tombstoneCursor{rowReader: r, of: t}
		ok, err := c.next()
		if err != nil {
			return merged, l.unreadTombstone(t, err)
		}
		if ok {
			h.push(c)
		}
	}
	w, err := l.newTombstoneWriter(ctx, id)
	if err != nil {
		return merged, err
	}
	for h.len() > 0 {
		c := h.top()
		if w.rows == 0 || !bytes.Equal(c.key(), w.last) {
			if err := w.add(c.key(), c.value(1).ByteArray(), c.value(2).Int64(), string(c.value(3).ByteArray())); err != nil {
				return merged, errors.Join(err, w.out.Abort())
			}
		}
		ok, err := c.next()
		if err != nil {
			return merged, errors.Join(l.unreadTombstone(c.of, err), w.out.Abort())
		}
		if ok {
			h.fix()
		} else {
			h.pop()
		}
	}
	return w.commit(ctx)
}
