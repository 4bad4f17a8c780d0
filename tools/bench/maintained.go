package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nuid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// The two tables that a second reader compares.
const (
	churnedTable = "churned" // a full load, then change batches, then maintenance to its end
	freshTable   = "fresh"   // a full load of the rows that churned has in the end
)

// churnPlan says how the tables come to be.
type churnPlan struct {
	dir     string
	rows    int // of the first load
	batches int
	changes int // of one batch: nine in ten replace a row, the others insert or delete
	seed    uint64
}

const churnRegistration = `database: bench
source: {prefix: dms/, schema: bench}
dms: {format: csv, header: false, op_column: Op, op_in_full_load: false, timestamp_column: ts, change_seq_column: null}
tables:
  - {name: churned, primary_key: [id], columns: &columns {id: bigint not null, status: varchar(16), officer: bigint, fee: "decimal(10,2)", at: timestamp, note: varchar(40)}}
  - {name: fresh, primary_key: [id], columns: *columns}
`

// buildMaintained makes both tables in a folder, through the whole system.
func buildMaintained(ctx context.Context, plan churnPlan) (err error) {
	if _, err := os.Stat(plan.dir); err == nil {
		return fmt.Errorf("%s is there already; name a folder to make", plan.dir)
	}
	raw := filepath.Join(plan.dir, "raw", "dms", "bench")
	versions, err := plan.write(raw)
	if err != nil {
		return err
	}
	fmt.Printf("%d rows, %d batches of %d changes, %d rows in the end\n", plan.rows, plan.batches, plan.changes, live(versions))
	tables, err := registry.Parse([]byte(churnRegistration), "the registration of the benchmark")
	if err != nil {
		return fmt.Errorf("parse the registration: %w", err)
	}
	cfg := roles.DefaultConfig()
	cfg.Dir = plan.dir
	cfg.LockManager.BatchFiles = 1 // each file is a batch of its own
	p, err := roles.Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	stop, failed := p.Start(ctx)
	defer func() {
		if e := stop(); !errors.Is(e, context.Canceled) {
			err = errors.Join(err, e)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-failed:
			cancel(errors.New("the system has stopped"))
		case <-ctx.Done():
		}
	}()
	return runMaintained(ctx, p, tables)
}

// runMaintained registers the tables, takes all files in and has the churned one
// maintained until nothing is due.
func runMaintained(ctx context.Context, p *roles.Process, tables []registry.Table) error {
	for _, t := range tables {
		if err := order(ctx, p, "apply", lockmanager.CommandRequest{Table: t.ID.String(), Spec: &t}); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := p.WholeFiles(ctx); err != nil {
		return err
	}
	if err := p.Settle(ctx); err != nil {
		return err
	}
	for _, t := range tables {
		if err := order(ctx, p, "load-complete", lockmanager.CommandRequest{Table: t.ID.String()}); err != nil {
			return err
		}
	}
	if err := p.Settle(ctx); err != nil {
		return err
	}
	fmt.Printf("published in %.1f s\n", time.Since(began).Seconds())
	began = time.Now()
	churned := dms.TableID{DB: "bench", Table: churnedTable}
	if err := order(ctx, p, "maintain", lockmanager.CommandRequest{Table: churned.String()}); err != nil {
		return err
	}
	if err := p.Settle(ctx); err != nil {
		return err
	}
	fmt.Printf("maintained to its end in %.1f s\n", time.Since(began).Seconds())
	due, _, err := p.Lake.Due(ctx, churned)
	if err != nil {
		return err
	}
	if len(due) > 0 {
		return fmt.Errorf("maintenance has ended, and is due: %v", due)
	}
	return nil
}

func order(ctx context.Context, p *roles.Process, name string, r lockmanager.CommandRequest) error {
	r.ID, r.Actor, r.Reason = nuid.Next(), "operator:bench", "benchmark"
	reply, err := p.LockManager.Execute(ctx, name, r)
	if err == nil && reply.Refused != "" {
		err = errors.New(reply.Refused)
	}
	return err
}

// gone marks a key that is deleted among the versions.
const gone = -1

// write writes the raw files of both tables and gives the version of each key in
// the end: keys begin at 1, so that element 0 is unused.
func (plan churnPlan) write(raw string) ([]int, error) {
	versions := make([]int, plan.rows+1, plan.rows+plan.batches*plan.changes+1)
	versions[0] = gone
	if err := writeRows(filepath.Join(raw, churnedTable, "LOAD00000001.csv"), versions); err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(plan.seed, 1))
	start := time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)
	for b := range plan.batches {
		at := start.Add(time.Duration(b) * time.Minute)
		name := filepath.Join(raw, churnedTable, at.Format("20060102-150405")+"000.csv")
		err := writeFile(name, func(w io.Writer) error {
			var buf []byte
			for n := range plan.changes {
				buf, versions = change(buf[:0], r, versions, b*plan.changes+n+1, at)
				if _, err := w.Write(buf); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return versions, writeRows(filepath.Join(raw, freshTable, "LOAD00000001.csv"), versions)
}

// change appends one change as a line, and notes the version that it makes.
func change(b []byte, r *rand.Rand, versions []int, version int, at time.Time) ([]byte, []int) {
	op := byte('U')
	key := 1 + r.IntN(len(versions)-1)
	switch kind := r.IntN(20); {
	case kind == 0 || versions[key] == gone:
		op, key, versions = 'I', len(versions), append(versions, version)
	case kind == 1:
		op, versions[key] = 'D', gone
	default:
		versions[key] = version
	}
	b = append(b, op, ',')
	b = at.AppendFormat(b, "2006-01-02 15:04:05.000000")
	return row(append(b, ','), key, version), versions
}

// row appends the columns of a version of a key, and a line end.
func row(b []byte, key, version int) []byte {
	n := uint64(key)*0x9E3779B97F4A7C15 ^ uint64(version)*0xBF58476D1CE4E5B9
	b = strconv.AppendInt(b, int64(key), 10)
	b = append(append(b, ','), []string{"open", "closed", "void", "pending"}[n>>8%4]...)
	b = strconv.AppendUint(append(b, ','), n>>16%5000, 10)
	b = fmt.Appendf(b, ",%d.%02d", n>>20%10_000, n>>34%100)
	b = time.Unix(1_600_000_000+int64(n>>32%100_000_000), 0).UTC().AppendFormat(append(b, ','), "2006-01-02 15:04:05.000000")
	return fmt.Appendf(b, ",block %d of street %d\n", n>>40%1000, n%100_000)
}

// writeRows writes the load file that has all keys that are not gone. DMS adds
// the timestamp column to it as well.
func writeRows(name string, versions []int) error {
	return writeFile(name, func(w io.Writer) error {
		var buf []byte
		for key, version := range versions {
			if version == gone {
				continue
			}
			buf = row(append(buf[:0], "2024-03-01 00:00:00.000000,"...), key, version)
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeFile(name string, write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("write the raw files: %w", err)
	}
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the raw files: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(write(w), w.Flush()); err != nil {
		return fmt.Errorf("write the raw files: %w", err)
	}
	return nil
}

func live(versions []int) int {
	n := 0
	for _, v := range versions {
		if v != gone {
			n++
		}
	}
	return n
}
