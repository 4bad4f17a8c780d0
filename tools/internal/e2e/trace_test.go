package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/openblotter/blotter/pkg/registry"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestOneTraceForEachFile follows files from their arrival to the commit: each
// has one trace, named by its id, in which every service has a part. It sets the
// process-wide tracer, hence it is not parallel.
func TestOneTraceForEachFile(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))
	otel.SetTracerProvider(provider)
	defer otel.SetTracerProvider(noop.NewTracerProvider())

	cfg := roles.DefaultConfig()
	cfg.Dir, cfg.Watch.StableFor = t.TempDir(), time.Millisecond
	p, err := roles.Open(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	stop, _ := p.Start(context.WithoutCancel(t.Context()))
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	ids := publishGeneration(t, p, cfg.Dir)
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	traces := map[string]map[string]bool{} // the services in each trace
	parents := map[string]bool{}
	spans := exporter.GetSpans()
	for _, s := range spans {
		id, service := s.SpanContext.TraceID().String(), strings.Fields(s.Name)[0]
		if traces[id] == nil {
			traces[id] = map[string]bool{}
		}
		traces[id][service] = true
		parents[s.SpanContext.SpanID().String()] = true
	}
	for _, id := range ids {
		for _, service := range []string{"ingest-router", "classifier", "lock-manager", "lambda-transformer", "curator"} {
			if !traces[id][service] {
				t.Errorf("%s has no part in the trace of file %s, which has %v", service, id, traces[id])
			}
		}
	}
}

// publishGeneration has a load and its changes published and gives the ids of
// the files.
func publishGeneration(t *testing.T, p *roles.Process, dir string) []string {
	t.Helper()
	specs, err := registry.Parse([]byte(smallRegistration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec := specs[0]
	reply, err := p.LockManager.Execute(t.Context(), "apply", lockmanager.CommandRequest{
		ID: "apply", Actor: "operator:test", Table: spec.ID.String(), Spec: &spec,
	})
	if err != nil || reply.Refused != "" {
		t.Fatal(reply.Refused, err)
	}
	files := smallFiles()
	s := system{t: t, raw: filepath.Join(dir, "raw")}
	for _, f := range files {
		s.write([]byte(f.content), f.key, f.modified)
	}
	if err := p.WholeFiles(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.IngestRouter.List(t.Context(), ingestrouter.ListRequest{ID: "list", Actor: "operator:test", Complete: true}); err != nil {
		t.Fatal(err)
	}
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := p.Store.Files(t.Context(), spec.ID, []string{string(lockmanager.Published)}, maxFiles)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(files) {
		t.Fatalf("%d of %d files are published", len(rows), len(files))
	}
	var ids []string
	for _, row := range rows {
		ids = append(ids, string(row.FileID))
	}
	return ids
}
