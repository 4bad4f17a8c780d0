package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
)

// maxBatch bounds how many writes share one transaction.
const maxBatch = 128

// writer owns the one connection that writes. Its goroutine takes all writes
// that wait and commits them together.
type writer struct {
	owner *DB
	db    *sql.DB
	tx    Tx
	queue chan *request
	// full tells whether the connection fsyncs every commit now.
	full bool

	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	err     error // of closing
}

// request is one Write on its way. taken decides the race between the writer
// that begins it and a caller that gives up.
type request struct {
	fn      func(*Tx) error
	durable bool
	taken   atomic.Bool
	done    chan error
	err     error // fn's answer, inside the transaction
}

func openWriter(ctx context.Context, d *DB) (*writer, error) {
	db, err := sql.Open("sqlite", d.dsn(true))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	w := &writer{
		owner: d, db: db, full: true,
		tx:      Tx{conn: conn, stmts: make(map[string]*sql.Stmt)},
		queue:   make(chan *request),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	err = w.transaction(func() error { return d.migrate(ctx, conn) })
	if err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	go w.run()
	return w, nil
}

func (w *writer) do(ctx context.Context, fn func(*Tx) error, durable bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{fn: fn, durable: durable, done: make(chan error, 1)}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stop:
		return ErrClosed
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return <-r.done
	}
}

func (w *writer) run() {
	defer close(w.stopped)
	batch := make([]*request, 0, maxBatch)
	for {
		select {
		case <-w.stop:
			return
		case r := <-w.queue:
			batch = w.collect(append(batch[:0], r))
		}
		w.commit(batch)
		clear(batch)
	}
}

// collect adds what waits already; nobody is made to wait for company. Those
// whose callers have given up are dropped.
func (w *writer) collect(batch []*request) []*request {
	for len(batch) < maxBatch {
		select {
		case r := <-w.queue:
			batch = append(batch, r)
			continue
		default:
		}
		break
	}
	kept := batch[:0]
	for _, r := range batch {
		if r.taken.CompareAndSwap(false, true) {
			kept = append(kept, r)
		}
	}
	return kept
}

func (w *writer) commit(batch []*request) {
	if len(batch) == 0 {
		return
	}
	durable := false
	for _, r := range batch {
		durable = durable || r.durable
	}
	err := w.sync(durable)
	if err == nil {
		err = w.transaction(func() error { return w.apply(batch) })
	}
	for _, r := range batch {
		if r.err == nil {
			r.err = err // it was well, but nothing of the batch was kept
		}
		r.done <- w.owner.explainSQLite(r.err)
	}
}

// apply runs each request inside a savepoint, so that one that fails takes
// nothing of the others with it. An error of apply undoes the whole
// transaction.
func (w *writer) apply(batch []*request) error {
	if len(batch) == 1 {
		batch[0].err = batch[0].fn(&w.tx)
		return batch[0].err
	}
	for _, r := range batch {
		if err := w.exec("SAVEPOINT one"); err != nil {
			return err
		}
		if r.err = r.fn(&w.tx); r.err != nil {
			// After an error that made SQLite roll back everything (a full disk)
			// there is no savepoint any more.
			if err := w.exec("ROLLBACK TO one"); err != nil {
				return r.err
			}
		}
		if err := w.exec("RELEASE one"); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) transaction(fn func() error) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		err = w.exec("COMMIT")
	}
	if err != nil {
		// Its own error says nothing new: SQLite may have rolled back already.
		_ = w.exec("ROLLBACK")
	}
	return err
}

// sync chooses whether the next commit waits for the disk.
func (w *writer) sync(full bool) error {
	if w.full == full {
		return nil
	}
	mode := "PRAGMA synchronous = NORMAL"
	if full {
		mode = "PRAGMA synchronous = FULL"
	}
	if err := w.exec(mode); err != nil {
		return err
	}
	w.full = full
	return nil
}

func (w *writer) exec(query string) error {
	_, err := w.tx.conn.ExecContext(context.Background(), query)
	return err
}

func (w *writer) close() error {
	w.once.Do(func() {
		close(w.stop)
		<-w.stopped
		var errs []error
		for _, s := range w.tx.stmts {
			errs = append(errs, s.Close())
		}
		errs = append(errs, w.tx.conn.Close(), w.db.Close())
		w.err = errors.Join(errs...)
	})
	return w.err
}
