package main

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nuid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	"github.com/openblotter/blotter/tools/internal/roles"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testTables registers two tables; the second one gets no file.
const testTables = `
database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true, op_column: Op, timestamp_column: null, change_seq_column: null, null: "NULL"}
load: {quiet_period: 0s}
tables:
  - {name: reports, primary_key: [id], columns: {id: bigint not null, status: string, amount: "decimal(10,2)"}}
  - {name: people, primary_key: [id], columns: {id: bigint not null, name: string}}
`

// testSystem is a real system in a folder of the test.
type testSystem struct {
	t       *testing.T
	dir     string
	process *roles.Process
	stop    func() error
	stored  string // a copy of dir, see store
}

// startSystem runs all services until the test ends or halt is called.
func startSystem(t *testing.T) *testSystem {
	t.Helper()
	return startSystemOf(t, testTables)
}

// startSystemOf is startSystem with other tables.
func startSystemOf(t *testing.T, tables string) *testSystem {
	t.Helper()
	s := &testSystem{t: t, dir: filepath.Join(t.TempDir(), "data")}
	cfg := roles.DefaultConfig()
	cfg.Dir, cfg.Watch.StableFor = s.dir, 10*time.Millisecond
	var err error
	if s.process, err = roles.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	s.stop, _ = s.process.Start(context.WithoutCancel(t.Context()))
	t.Cleanup(s.halt)
	specs, err := registry.Parse([]byte(tables), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := runner{process: s.process, specs: specs}
	if err := r.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.settle()
	return s
}

func (s *testSystem) halt() {
	if s.stop == nil {
		return
	}
	if err := s.stop(); err != nil {
		s.t.Error(err)
	}
	if err := s.process.Close(); err != nil {
		s.t.Error(err)
	}
	s.stop = nil
}

func (s *testSystem) settle() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	if err := s.process.Settle(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// deliver puts a file of rms.reports into the raw folder, tells of it and waits.
// Its time is fixed, and so is its id.
func (s *testSystem) deliver(name, content string) dms.FileID {
	s.t.Helper()
	return s.deliverAt(time.Date(2024, 3, 4, 8, 0, 0, 0, time.UTC), name, content)
}

// deliverAt is deliver of a file that was written then.
func (s *testSystem) deliverAt(modified time.Time, name, content string) dms.FileID {
	s.t.Helper()
	key := "dms/rms/reports/" + name
	path := filepath.Join(s.dir, roles.RawDir, filepath.FromSlash(key))
	for _, err := range []error{
		os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644), os.Chtimes(path, modified, modified),
	} {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	info, err := s.process.Raw.Stat(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := s.process.IngestRouter.Offer(s.t.Context(), dms.Object{
		Bucket: s.process.Raw.Name(), Key: key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC(),
	}, ingestrouter.FromEvent)
	if err != nil {
		s.t.Fatal(err)
	}
	s.settle()
	return id
}

// sealed takes the raw folder as complete.
func (s *testSystem) sealed() {
	s.t.Helper()
	if err := s.process.WholeFiles(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	_, err := s.process.IngestRouter.List(s.t.Context(), ingestrouter.ListRequest{ID: nuid.Next(), Actor: "operator:test", Reason: "test", Complete: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// fill gives the table a load, changes, a file that cannot be read and one that
// waits behind it.
func (s *testSystem) fill() (broken dms.FileID) {
	s.t.Helper()
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n2,\"said \"\"no\"\", left\",NULL\n3,\\N,-0.05\n3,\"\\N\",-0.05\n4,,7\n")
	s.sealed()
	s.deliver("20240304-060000000.csv", "Op,id,status,amount\nU,1,closed,2.00\nD,3,\\N,-0.05\nI,10,NULL,NULL\nI,9,\\N,0\n")
	broken = s.deliver("20240304-070000000.csv", "Op,id,status,amount\nU,1,closed,3.00,surplus\n")
	s.deliver("20240304-080000000.csv", "Op,id,status,amount\nU,1,reopened,4.00\n")
	return broken
}

// blotter runs a command on the folder and gives what it prints.
func (s *testSystem) blotter(args ...string) (string, error) {
	return command(s.t.Context(), nil, append(args, "--dir", s.dir)...)
}

// must is blotter for a command that has to succeed.
func (s *testSystem) must(args ...string) string {
	s.t.Helper()
	out, err := s.blotter(args...)
	if err != nil {
		s.t.Fatalf("blotter %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// command runs a command of the command line.
func command(ctx context.Context, stdin []byte, args ...string) (string, error) {
	root := newRoot()
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetIn(bytes.NewReader(stdin))
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

var clock = regexp.MustCompile(`\d\d:\d\d:\d\d`)
var today = regexp.MustCompile(`20[2-9]\d-\d\d-\d\d`)

// golden compares what was printed with a file, times and the folder apart.
func (s *testSystem) golden(name, got string) {
	s.t.Helper()
	got = clock.ReplaceAllString(got, "hh:mm:ss")
	got = today.ReplaceAllString(got, "yyyy-mm-dd")
	got = strings.ReplaceAll(got, s.dir, "DIR")
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != string(want) {
		s.t.Errorf("%s is\n%s\nexpected\n%s", name, got, want)
	}
}
