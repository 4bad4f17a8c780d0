package sqlite_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/dms"
)

// decide is what one decision of lock-manager costs the store: a load, a commit
// of a state of some size with two events and a file, and the flushed outbox.
func decide(s *sqlite.Store, table dms.TableID, n int) error {
	ctx := context.Background()
	item, err := s.Table(ctx, table)
	if err != nil && n > 0 {
		return err
	}
	err = s.Commit(ctx, control.Change{
		Table: table, Expect: item.Version, State: make([]byte, 2000), Outbox: [][]byte{make([]byte, 300), make([]byte, 300)},
		Files: []control.FileRow{{FileID: dms.FileID(fmt.Sprintf("%032x", n)), State: "published", Kind: dms.KindChange,
			Order: dms.FileOrder(fmt.Sprintf("%09d", n)), Body: make([]byte, 300)}},
	})
	if err != nil {
		return err
	}
	return s.ClearOutbox(ctx, table, item.Version+1)
}

func BenchmarkDecideSerial(b *testing.B) {
	s := openTemp(b)
	n := 0
	for b.Loop() {
		if err := decide(s, childTable(0), n); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// BenchmarkDecideParallel has 32 tables at work.
func BenchmarkDecideParallel(b *testing.B) {
	s := openTemp(b)
	var tables atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		table := childTable(int(tables.Add(1)))
		for n := 0; pb.Next(); n++ {
			if err := decide(s, table, n); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkPutObject(b *testing.B) {
	s := openTemp(b)
	n := 0
	for b.Loop() {
		n++
		row := control.ObjectRow{FileID: dms.FileID(fmt.Sprintf("%032x", n)), State: control.ObjectPending,
			Event: make([]byte, 300), Object: dms.Object{Bucket: "raw", Key: "rms/reports/LOAD00000001.csv"}}
		if err := s.PutObject(context.Background(), row); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkQueryQuarantined finds the few among many.
func BenchmarkQueryQuarantined(b *testing.B) {
	s := openTemp(b)
	const files = 20_000
	c := control.Change{Table: childTable(0)}
	for n := range files {
		state := "published"
		if n%5000 == 0 {
			state = "quarantined"
		}
		c.Files = append(c.Files, control.FileRow{FileID: dms.FileID(fmt.Sprintf("%032x", n)), State: state,
			Kind: dms.KindChange, Order: dms.FileOrder(fmt.Sprintf("%09d", n)), Body: make([]byte, 300)})
	}
	if err := s.Commit(context.Background(), c); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rows, err := s.Files(context.Background(), c.Table, []string{"quarantined", "waiting"}, 100)
		if err != nil || len(rows) != 4 {
			b.Fatal(len(rows), err)
		}
	}
}
