package glue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/glue"
	"github.com/openblotter/blotter/pkg/lake/glue/gluetest"
)

var reports = table.Identifier{"rms", "reports"}

// world is a catalog on the stand-in with one table.
type world struct {
	t      *testing.T
	server *gluetest.Server
	io     *lake.IO
	c      *glue.Catalog
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, server: gluetest.New(), io: newIO(t)}
	w.c = open(t, w.server.Client(t), w.io, "p_")
	if err := w.c.CreateNamespace(t.Context(), reports[:1], nil); err != nil {
		t.Fatal(err)
	}
	if err := w.create(); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) create() error {
	_, err := w.c.CreateTable(w.t.Context(), reports, iceberg.NewSchema(0,
		iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true},
		iceberg.NestedField{ID: 2, Name: "status", Type: iceberg.PrimitiveTypes.String, Doc: "open or closed"}))
	return err
}

// set commits a property.
func (w *world) set(key string) error {
	_, _, err := w.c.CommitTable(w.t.Context(), reports, nil, []table.Update{table.NewSetPropertiesUpdate(iceberg.Properties{key: "1"})})
	return err
}

// properties gives those of the table as a catalog says that is opened anew.
func (w *world) properties() iceberg.Properties {
	w.t.Helper()
	tbl, err := open(w.t, w.server.Client(w.t), w.io, "p_").LoadTable(w.t.Context(), reports)
	if err != nil {
		w.t.Fatal(err)
	}
	return tbl.Properties()
}

// TestOutcomes: what a commit says of faults, and whether it is there.
func TestOutcomes(t *testing.T) {
	second := gluetest.Fault{Code: "ConcurrentModificationException"}
	lost := gluetest.Fault{LoseAnswer: true}
	for _, test := range []struct {
		name    string
		faults  func(w *world) []gluetest.Fault
		landed  bool
		err     error
		says    string
		updates int
	}{
		{name: "none", landed: true, updates: 1},
		{name: "throttled", faults: list(gluetest.Fault{Code: "ThrottlingException"}, gluetest.Fault{Code: "ThrottlingException"}), landed: true, updates: 3},
		{name: "throttled for long", faults: list(gluetest.Fault{Code: "ThrottlingException"}, gluetest.Fault{Code: "ThrottlingException"}, gluetest.Fault{Code: "ThrottlingException"}),
			says: "ThrottlingException", updates: 3},
		{name: "inner fault", faults: list(gluetest.Fault{Code: "InternalServiceException", Status: 500}), landed: true, updates: 2},
		{name: "lost call", faults: list(gluetest.Fault{LoseCall: true}), landed: true, updates: 2},
		// The second try meets the first.
		{name: "lost answer", faults: list(lost), landed: true, updates: 2},
		{name: "lost answers", faults: list(lost, lost, lost), landed: true, updates: 3},
		{name: "lost, then refused", faults: list(lost, gluetest.Fault{Code: "AccessDeniedException"}), landed: true, updates: 2},
		{name: "lost, then followed by another", faults: func(w *world) []gluetest.Fault {
			other := open(w.t, w.server.Client(w.t), w.io, "p_")
			return []gluetest.Fault{{LoseAnswer: true, Then: func() {
				_, _, err := other.CommitTable(w.t.Context(), reports, nil, []table.Update{table.NewSetPropertiesUpdate(iceberg.Properties{"other": "1"})})
				if err != nil {
					w.t.Error(err)
				}
			}}}
		}, landed: true, updates: 3},
		{name: "second", faults: list(second), err: table.ErrCommitFailed, updates: 1},
		{name: "denied", faults: list(gluetest.Fault{Code: "AccessDeniedException"}), says: "glue:UpdateTable on p_rms.reports is denied: allow it", updates: 1},
		{name: "invalid", faults: list(gluetest.Fault{Code: "InvalidInputException"}), says: "glue:UpdateTable on p_rms.reports", updates: 1},
		{name: "removed", faults: list(gluetest.Fault{Code: "EntityNotFoundException"}), err: catalog.ErrNoSuchTable, updates: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.faults != nil {
				w.server.Inject("UpdateTable", test.faults(w)...)
			}
			err := w.set("ours")
			if (err == nil) != test.landed || test.err != nil && !errors.Is(err, test.err) || !strings.Contains(errText(err), test.says) {
				t.Errorf("the commit gives %v", err)
			}
			if test.err == nil && lake.IsStaleCommit(err) {
				t.Errorf("it is told as second: %v", err)
			}
			if _, there := w.properties()["ours"]; there != test.landed {
				t.Errorf("it is there: %v, expected %v", there, test.landed)
			}
			if n := w.server.Calls("UpdateTable"); n != test.updates {
				t.Errorf("%d calls, expected %d", n, test.updates)
			}
		})
	}
}

func list(faults ...gluetest.Fault) func(*world) []gluetest.Fault {
	return func(*world) []gluetest.Fault { return faults }
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestNobodyKnowsWhetherItLanded: an update that Glue does not answer, and a table that
// cannot be looked at then.
func TestNobodyKnowsWhetherItLanded(t *testing.T) {
	w := newWorld(t)
	denied := gluetest.Fault{Code: "AccessDeniedException"}
	w.server.Inject("UpdateTable", gluetest.Fault{Code: "ConcurrentModificationException"})
	w.server.Inject("GetTable", gluetest.Fault{}, denied)
	if err := w.set("ours"); err == nil || lake.IsStaleCommit(err) || !strings.Contains(err.Error(), "look whether the commit landed") {
		t.Errorf("the commit gives %v", err)
	}
}

// TestCreationWhoseAnswerIsLost: the table is there.
func TestCreationWhoseAnswerIsLost(t *testing.T) {
	w := newWorld(t)
	ident := table.Identifier{"rms", "people"}
	w.server.Inject("CreateTable", gluetest.Fault{LoseAnswer: true})
	_, err := w.c.CreateTable(t.Context(), ident, iceberg.NewSchema(0, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64}))
	if !errors.Is(err, catalog.ErrTableAlreadyExists) {
		t.Errorf("its creation gives %v", err)
	}
	if _, err := w.c.LoadTable(t.Context(), ident); err != nil {
		t.Error(err)
	}
	w.server.Inject("CreateDatabase", gluetest.Fault{LoseAnswer: true})
	if err := w.c.CreateNamespace(t.Context(), table.Identifier{"courts"}, nil); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		t.Errorf("a database's creation gives %v", err)
	}
}

// TestRightsThatAreMissing: what to allow is said.
func TestRightsThatAreMissing(t *testing.T) {
	w := newWorld(t)
	denied := gluetest.Fault{Code: "AccessDeniedException"}
	w.server.Inject("GetTable", denied)
	w.server.Inject("CreateTable", denied)
	w.server.Inject("CreateDatabase", denied)
	_, load := w.c.LoadTable(t.Context(), reports)
	for says, err := range map[string]error{
		"glue:GetTable on p_rms.reports is denied":    load,
		"glue:CreateTable on p_rms.reports is denied": w.create(),
		"glue:CreateDatabase on p_courts is denied":   w.c.CreateNamespace(t.Context(), table.Identifier{"courts"}, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), says) || errors.Is(err, catalog.ErrNoSuchTable) {
			t.Errorf("%v, expected %q", err, says)
		}
	}
	// A database that is there needs no right to make it.
	if err := w.c.CreateNamespace(t.Context(), reports[:1], nil); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		t.Error(err)
	}
	w.server.Inject("GetDatabase", denied)
	if err := w.c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	w.server.Inject("GetDatabase", gluetest.Fault{Code: "UnrecognizedClientException"})
	if err := w.c.Check(t.Context()); err == nil {
		t.Error("credentials that AWS does not know are none")
	}
}

// TestNames: what Glue would fold, and what Athena would not read, is refused, and what
// to do is said.
func TestNames(t *testing.T) {
	w := newWorld(t)
	for _, id := range []dms.TableID{
		{DB: "RMS", Table: "reports"}, {DB: "rms", Table: "Reports"}, {DB: "rms", Table: "reports-2024"}, {DB: "rms", Table: "a.b"},
		{DB: "rms", Table: "größe"}, {DB: "r ms", Table: "reports"}, {DB: strings.Repeat("d", 254), Table: "reports"}, {DB: "rms", Table: strings.Repeat("t", 256)},
	} {
		err := glue.CheckName("p_", id)
		if !errors.Is(err, lake.ErrIncompatible) || !strings.Contains(err.Error(), "register the table under such names") {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := w.c.LoadTable(t.Context(), lake.Identifier(id)); !errors.Is(err, lake.ErrIncompatible) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []dms.TableID{{DB: "rms", Table: "reports"}, {DB: strings.Repeat("d", 253), Table: "_2024"}} {
		if err := glue.CheckName("p_", id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, cfg := range []glue.Config{{CallTimeout: 1, Prefix: "A"}, {CallTimeout: 1, Account: "12345678901x"}, {}} {
		if cfg.Validate() == nil {
			t.Errorf("%+v is valid", cfg)
		}
	}
}
