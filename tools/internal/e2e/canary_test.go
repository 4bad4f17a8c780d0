package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// canaries are values that stand nowhere but in rows, one for each kind of column.
var canaries = []string{"Kanarie-Name-7Q", "Kanarie-Notiz-7Q", "8812345677", "4477.1188", "1907-11-23", "1907-11-24 03:17:29.118", "kanarie-op-7q"}

const canaryTables = `database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true, timestamp_column: null}
tables:
`

// canaryTable is one table and its files, after the load.
type canaryTable struct {
	name, settings string
	changes        string // below the header
	header         string // "": that of the load
	parquet        bool
}

const canaryHeader = "Op,name,note,badge,fee,born,seen\n"

// canaryTablesOf has a table for each way in which a file may be bad, and one whose
// files are good. A bad row has a canary in every other column too.
var canaryTablesOf = []canaryTable{
	{name: "good", changes: canaryRow("U") + canaryRow("D")},
	{name: "wrong_type", changes: "I,Kanarie-Name-7Q,Kanarie-Notiz-7Q,Kanarie-Notiz-7Q,4477.1188,1907-11-23,1907-11-24 03:17:29.118\n"},
	{name: "wrong_date", changes: "I,Kanarie-Name-7Q,Kanarie-Notiz-7Q,8812345677,4477.1188,Kanarie-Notiz-7Q,1907-11-24 03:17:29.118\n"},
	{name: "too_large", changes: "I,Kanarie-Name-7Q,Kanarie-Notiz-7Q,8812345677,8812345677.5,1907-11-23,1907-11-24 03:17:29.118\n"},
	{name: "wide", changes: "I,Kanarie-Name-7Q,Kanarie-Notiz-7Q,8812345677,4477.1188,1907-11-23,1907-11-24 03:17:29.118,Kanarie-Notiz-7Q\n"},
	{name: "open_quote", changes: "I,Kanarie-Name-7Q,\"Kanarie-Notiz-7Q,8812345677,4477.1188,1907-11-23,1907-11-24 03:17:29.118\n"},
	{name: "bad_utf8", changes: "I,Kanarie-Name-7Q,Kanarie-Notiz-7Q\xff,8812345677,4477.1188,1907-11-23,1907-11-24 03:17:29.118\n"},
	{name: "bad_op", changes: canaryRow("kanarie-op-7q")},
	{name: "null_key", changes: "I,,Kanarie-Notiz-7Q,8812345677,4477.1188,1907-11-23,1907-11-24 03:17:29.118\n"},
	{name: "no_header", changes: canaryRow("I"), header: canaryRow("I")},
	{name: "set_aside", settings: ", on_bad_row: quarantine", changes: canaryRow("I") +
		"I,Kanarie-Name-7Q 2,Kanarie-Notiz-7Q,Kanarie-Notiz-7Q,4477.1188,1907-11-23,1907-11-24 03:17:29.118\n"},
	{name: "no_parquet", parquet: true, changes: "Kanarie-Notiz-7Q"},
}

func canaryRow(op string) string {
	return op + ",Kanarie-Name-7Q,Kanarie-Notiz-7Q,8812345677,4477.1188,1907-11-23,1907-11-24 03:17:29.118\n"
}

// TestNoValueLeaksFromItsRow puts canaries into every column of good and of bad files
// and looks for them in the log, the control store, the hold queue, the catalog, the
// reports, the traces, and all that the program prints.
func TestNoValueLeaksFromItsRow(t *testing.T) {
	t.Parallel()
	for _, shown := range []bool{false, true} {
		t.Run(fmt.Sprintf("show_values %t", shown), func(t *testing.T) {
			t.Parallel()
			collector := startCollector(t)
			s := newSystem(t, "", canaryRegistration(shown))
			s.putCanaries()
			printed := s.runCanaries(collector.address)
			for _, command := range [][]string{{"log"}, {"log", "--json"}, {"tables"}, {"replay"}} {
				printed = append(printed, s.both(command...))
			}
			for _, table := range canaryTablesOf {
				for _, command := range [][]string{{"table", "show"}, {"table", "schema"}, {"table", "files"}, {"rejected", "list"}} {
					printed = append(printed, s.both(append(command, "rms."+table.name)...))
				}
			}
			for _, text := range printed {
				noCanary(t, "what the program prints", []byte(text))
			}
			noCanary(t, "the traces and metrics", collector.bytes())
			reports := s.searchFolders(shown)
			if reports < len(canaryTablesOf)-1 {
				t.Errorf("only %d reports were found: the test shows little", reports)
			}
			if n := len(collector.bytes()); n < 10_000 {
				t.Errorf("the traces and metrics are %d bytes: the test shows little", n)
			}
		})
	}
}

func canaryRegistration(shown bool) string {
	var b strings.Builder
	b.WriteString(canaryTables)
	for _, table := range canaryTablesOf {
		if table.parquet {
			table.settings = ", dms: {format: parquet}"
		}
		if shown {
			table.settings += ", reports: {show_values: true}"
		}
		fmt.Fprintf(&b, "  - {name: %s, primary_key: [name], columns: {name: string not null, note: string, badge: bigint, "+
			"fee: \"decimal(10, 4)\", born: date, seen: timestamp}%s}\n", table.name, table.settings)
	}
	return b.String()
}

func (s *system) putCanaries() {
	s.t.Helper()
	at := time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)
	for _, table := range canaryTablesOf {
		header := table.header
		if header == "" {
			header = canaryHeader
		}
		name := at.Format("20060102-150405") + "000.csv"
		if table.parquet {
			name, header = at.Format("20060102-150405")+"000.parquet", ""
		} else {
			load := strings.TrimPrefix(canaryHeader, "Op,") + strings.TrimPrefix(canaryRow("I"), "I,")
			s.write([]byte(load), "dms/rms/"+table.name+"/LOAD00000001.csv", at)
		}
		s.write([]byte(header+table.changes), "dms/rms/"+table.name+"/"+name, at.Add(time.Minute))
	}
}

// runCanaries works everything off, as talkative as it can, and gives what it prints.
func (s *system) runCanaries(collector string) []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), commandTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "up", "--until-idle", "-v", "--tables", s.tables, "--raw", s.raw, "--dir", s.dir)
	cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != exitUnsettled {
		s.t.Fatalf("the run ended with %v, expected exit code %d\n%s", err, exitUnsettled, &out)
	}
	return []string{out.String()}
}

// both gives all that a command prints.
func (s *system) both(args ...string) string {
	s.t.Helper()
	r := s.run(args...)
	if r.stdout == "" {
		s.t.Errorf("blotter %v prints nothing (exit code %d): %s", args, r.code, r.stderr)
	}
	return r.stdout + r.stderr
}

// searchFolders looks through all files but the buckets of rows, and counts the
// reports. With shown, the reports must have canaries: else the search is blind.
func (s *system) searchFolders(shown bool) (reports int) {
	s.t.Helper()
	seen := map[string]int{}
	inReports := 0
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		top, _, _ := strings.Cut(filepath.ToSlash(within), "/")
		if d.IsDir() && (top == "staging" || top == "curated" || top == "scratch") {
			return fs.SkipDir
		}
		report := top == "failed" && strings.HasSuffix(path, "report.json")
		if d.IsDir() || top == "failed" && !report {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(content, []byte("dms/rms/good/LOAD00000001.csv")) || top != "nats" && top != "control.db" && top != "control.db-wal" {
			seen[strings.TrimSuffix(top, "-wal")]++ // it holds what it should, in words that can be found
		}
		switch {
		case report && shown:
			reports++
			inReports += len(found(content))
		case report:
			reports++
			fallthrough
		default:
			noCanary(s.t, within, content)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if seen["nats"] == 0 || seen["control.db"] == 0 || seen["hold.db"] == 0 || seen["catalog.db"] == 0 {
		s.t.Errorf("not all was looked through: %v", seen)
	}
	if shown && inReports == 0 {
		s.t.Error("the reports were to show values and show none: the search is blind")
	}
	return reports
}

// found gives the canaries in content, as they are or in a usual disguise.
func found(content []byte) (names []string) {
	for _, c := range canaries {
		for _, form := range [][]byte{
			[]byte(c), []byte(hex.EncodeToString([]byte(c))), []byte(strings.ToUpper(hex.EncodeToString([]byte(c)))),
			[]byte(base64.StdEncoding.EncodeToString([]byte(c))[:4*len(c)/3]), // wherever it begins a text
		} {
			if bytes.Contains(content, form) {
				names = append(names, string(form))
			}
		}
	}
	return names
}

func noCanary(t *testing.T, where string, content []byte) {
	t.Helper()
	for _, c := range found(content) {
		at := bytes.Index(content, []byte(c))
		t.Errorf("%s holds %s: %q", where, c, content[max(0, at-150):min(len(content), at+100)])
	}
}

// collector takes the traces and metrics of a process.
type collector struct {
	tracepb.UnimplementedTraceServiceServer
	address string
	mu      sync.Mutex
	text    bytes.Buffer
}

// metricsCollector takes the metrics for a collector.
type metricsCollector struct {
	metricspb.UnimplementedMetricsServiceServer
	*collector
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{address: listener.Addr().String()}
	server := grpc.NewServer()
	tracepb.RegisterTraceServiceServer(server, c)
	metricspb.RegisterMetricsServiceServer(server, metricsCollector{collector: c})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *collector) take(m proto.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text.WriteString(prototext.Format(m))
}

func (c *collector) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.text.Bytes())
}

// Export takes traces.
func (c *collector) Export(_ context.Context, r *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	c.take(r)
	return &tracepb.ExportTraceServiceResponse{}, nil
}

// Export takes metrics.
func (c metricsCollector) Export(_ context.Context, r *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	c.take(r)
	return &metricspb.ExportMetricsServiceResponse{}, nil
}
