package hammer

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
)

// mortal is one process as far as dying goes: from its death on every effect
// fails, until all that it runs has ended.
type mortal struct {
	plan  *plan
	clock *clock
	once  sync.Once
	died  chan struct{}
}

func newMortal(p *plan, c *clock) *mortal {
	return &mortal{plan: p, clock: c, died: make(chan struct{})}
}

// clock is what the services go by. A stall moves it past every deadline.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
	shared *os.File // holds the offset, where several processes go by it
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b [8]byte
	if c.shared != nil {
		if _, err := c.shared.ReadAt(b[:], 0); err == nil { // else nobody has moved it
			c.offset = time.Duration(binary.LittleEndian.Uint64(b[:]))
		}
	}
	return time.Now().UTC().Add(c.offset)
}

// jump moves the clock on; of several processes one does.
func (c *clock) jump(by time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
	if c.shared == nil {
		return nil
	}
	if _, err := c.shared.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(c.offset)), 0); err != nil {
		return fmt.Errorf("move the clock: %w", err)
	}
	return nil
}

// before is what may go wrong before an effect; the error stands for it.
func (m *mortal) before(step, subject string, ways ...Fault) error {
	select {
	case <-m.died:
		return errCrash
	default:
	}
	switch m.plan.draw(step, subject, ways...) {
	case Death:
		return m.die()
	case Throttled:
		return fmt.Errorf("%w: %s: slow down", errInjected, step)
	case Stall:
		m.stall()
	}
	return nil
}

func (m *mortal) die() error {
	if m.plan.kill != nil {
		m.plan.kill()
	}
	m.once.Do(func() { close(m.died) })
	return errCrash
}

// stall stands still while the deadlines of all that runs pass and the others go on.
func (m *mortal) stall() {
	_ = m.clock.jump(grantTimeout + time.Second) // its own, which no file holds
	timer := time.NewTimer(stallFor)
	defer timer.Stop()
	select {
	case <-m.died:
	case <-timer.C:
	}
}

// around has something go wrong before or after an effect; more ways may be possible
// before it. What a stalled process had under way happens when it wakes, whatever
// became of its context.
func (m *mortal) around(ctx context.Context, step, subject string, effect func(context.Context) error, more ...Fault) error {
	if err := m.before("before "+step, subject, append(more, Death, Throttled)...); err != nil {
		return err
	}
	if err := effect(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	switch m.plan.draw("after "+step, subject, Death, LostAnswer) {
	case Death:
		return m.die()
	case LostAnswer:
		return fmt.Errorf("%w: %s: no answer in time", errInjected, step)
	}
	return nil
}

// At dies at the steps of the event log.
func (m *mortal) At(_ context.Context, step eventlog.Step, id string) error {
	return m.before("log: "+string(step), id, Death)
}

func (m *mortal) lakeStep(step lake.Step) error {
	return m.before("lake: "+string(step), "", Death, Stall)
}

// stores is the control store of one process.
type stores interface {
	control.Store
	control.Objects
}

type mortalStore struct {
	stores
	m *mortal
}

// Table reads a table's item.
func (s mortalStore) Table(ctx context.Context, id dms.TableID) (control.TableItem, error) {
	if err := s.m.before("store: read table", id.String(), Death, Throttled); err != nil {
		return control.TableItem{}, err
	}
	return s.stores.Table(ctx, id)
}

// Commit stores a change.
func (s mortalStore) Commit(ctx context.Context, c control.Change) error {
	return s.m.around(ctx, "store: commit", c.Table.String(), func(ctx context.Context) error { return s.stores.Commit(ctx, c) })
}

// ClearOutbox clears an outbox.
func (s mortalStore) ClearOutbox(ctx context.Context, id dms.TableID, version uint64) error {
	return s.m.around(ctx, "store: clear outbox", id.String(), func(ctx context.Context) error { return s.stores.ClearOutbox(ctx, id, version) })
}

// PutObject stores what is known of an object.
func (s mortalStore) PutObject(ctx context.Context, o control.ObjectRow) error {
	return s.m.around(ctx, "store: put object "+string(o.State), o.Object.Key, func(ctx context.Context) error { return s.stores.PutObject(ctx, o) })
}

type mortalQueue struct {
	holdqueue.Queue
	m *mortal
}

// Hold puts a file into the queue.
func (q mortalQueue) Hold(ctx context.Context, table dms.TableID, item holdqueue.Item) error {
	return q.m.around(ctx, "queue: hold", table.String(), func(ctx context.Context) error { return q.Queue.Hold(ctx, table, item) })
}

// Release takes a file out of the queue.
func (q mortalQueue) Release(ctx context.Context, table dms.TableID, id dms.FileID) error {
	return q.m.around(ctx, "queue: release", table.String(), func(ctx context.Context) error { return q.Queue.Release(ctx, table, id) })
}

type mortalCatalog struct {
	lake.Catalog
	m *mortal
}

// CommitTable commits to the catalog.
func (c mortalCatalog) CommitTable(ctx context.Context, id table.Identifier, reqs []table.Requirement, updates []table.Update) (meta table.Metadata, at string, err error) {
	err = c.m.around(ctx, "catalog: commit", fmt.Sprint(id), func(ctx context.Context) error {
		meta, at, err = c.Catalog.CommitTable(ctx, id, reqs, updates)
		return err
	}, Stall)
	return meta, at, err
}

// LoadTable gives a table that commits here.
func (c mortalCatalog) LoadTable(ctx context.Context, id table.Identifier) (*table.Table, error) {
	return c.bind(c.Catalog.LoadTable(ctx, id))
}

// CreateTable gives a table that commits here.
func (c mortalCatalog) CreateTable(ctx context.Context, id table.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*table.Table, error) {
	return c.bind(c.Catalog.CreateTable(ctx, id, schema, opts...))
}

func (c mortalCatalog) bind(t *table.Table, err error) (*table.Table, error) {
	if err != nil {
		return nil, err
	}
	return table.New(t.Identifier(), t.Metadata(), t.MetadataLocation(), t.FS, c), nil
}

type mortalBucket struct {
	objects.Bucket
	m *mortal
}

// Open opens an object.
func (b mortalBucket) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	if err := b.m.before(b.Name()+": open", key, Death, Throttled); err != nil {
		return nil, err
	}
	return b.Bucket.Open(ctx, key, v)
}

// List lists a bucket.
func (b mortalBucket) List(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	if err := b.m.before(b.Name()+": list", prefix, Death, Throttled); err != nil {
		return func(yield func(objects.Info, error) bool) { yield(objects.Info{}, err) }
	}
	return b.Bucket.List(ctx, prefix)
}

// Create begins an object.
func (b mortalBucket) Create(ctx context.Context, key string) (objects.Writer, error) {
	w, err := b.Bucket.Create(ctx, key)
	if err != nil {
		return nil, err
	}
	return &mortalWriter{Writer: w, m: b.m, name: b.Name(), key: key}, nil
}

// Copy copies an object here.
func (b mortalBucket) Copy(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (info objects.Info, err error) {
	if from, ok := src.(mortalBucket); ok {
		src = from.Bucket
	}
	err = b.m.around(ctx, b.Name()+": copy", srcKey, func(ctx context.Context) error {
		info, err = b.Bucket.Copy(ctx, src, srcKey, v, dstKey)
		return err
	})
	return info, err
}

type mortalWriter struct {
	objects.Writer
	m         *mortal
	name, key string
}

// Write writes, or half of it.
func (w *mortalWriter) Write(p []byte) (int, error) {
	if w.m.plan.draw(w.name+": write", w.key, Half) == Half {
		n, err := w.Writer.Write(p[:len(p)/2])
		if err == nil {
			err = fmt.Errorf("%w: %s: connection reset", errInjected, w.name)
		}
		return n, err
	}
	return w.Writer.Write(p)
}

// Commit makes the object visible.
func (w *mortalWriter) Commit(ctx context.Context) (info objects.Info, err error) {
	err = w.m.around(ctx, w.name+": commit object", w.key, func(ctx context.Context) error {
		info, err = w.Writer.Commit(ctx)
		return err
	}, Stall)
	return info, err
}

// listedRaw is the raw bucket for ingest-router: every object in it is whole.
type listedRaw struct{ mortalBucket }

// Scan yields all objects.
func (r listedRaw) Scan(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for info, err := range r.List(ctx, prefix) {
			if err == nil {
				info, err = r.Stat(ctx, info.Key)
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// ScanAfter yields what lies behind a key.
func (r listedRaw) ScanAfter(ctx context.Context, prefix, after string, want objects.Want) iter.Seq2[objects.Sighting, error] {
	return func(yield func(objects.Sighting, error) bool) {
		for info, err := range r.Scan(ctx, prefix) {
			s := objects.Sighting{Info: info}
			switch {
			case err == nil && info.Key <= after:
				continue
			case err == nil && want != nil && !want(info.Key, true):
				s = objects.Sighting{Info: objects.Info{Key: info.Key}, Seen: objects.SeenOther}
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// Missed is nothing: a listing of the bucket passes over no file.
func (r listedRaw) Missed() error { return nil }

// Fresh is Scan of what want asks for.
func (r listedRaw) Fresh(ctx context.Context, prefix string, want objects.Want) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for info, err := range r.Scan(ctx, prefix) {
			if err == nil && !want(info.Key, true) {
				continue
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

var _ io.Writer = (*mortalWriter)(nil)
