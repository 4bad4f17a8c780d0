package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

// What is held is told once for each folder, however many objects come, and of so many
// folders at most.
func TestHeldIsToldOnce(t *testing.T) {
	t.Parallel()
	specs, err := registry.Parse([]byte(testTables), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := &heldNotes{specs: func(context.Context) ([]registry.Table, error) { return specs, nil }, flags: " --dir d", told: map[string]bool{}}
	held := func(key, schema, table string) *blotterv1.ObjectHeld {
		e := &blotterv1.ObjectHeld{Object: &blotterv1.ObjectRef{Key: key}}
		if table != "" {
			e.Part = &blotterv1.PartOf{FileId: "f", Schema: schema, Table: table}
		}
		return e
	}
	takenBack := func(key string) *blotterv1.ObjectHeld {
		e := held(key, "", "")
		e.Reason = ingestrouter.ReasonTakenBack
		return e
	}
	of := func(e proto.Message) string { return n.of(t.Context(), e) }
	for _, tt := range []struct {
		event proto.Message
		want  string
	}{
		{&blotterv1.ObjectArrived{}, ""},
		{held("dms/rms/scratch/LOAD00000001.csv", "", ""), "held: objects in dms/rms/scratch/, of no registered table; see: blotter held list --dir d"},
		{held("dms/rms/scratch/LOAD00000002.csv", "", ""), ""},
		{held("dms/rms/scratch/2024/03/04/20240304-060000000.csv", "", ""), ""},
		{held("dms/tx/CDC_TXN-1.csv", "pub", "audit"), "held: rows of pub.audit in transaction files, of no registered table; see: blotter held list --dir d"},
		{held("dms/tx/CDC_TXN-2.csv", "pub", "audit"), ""},
		{takenBack("dms/rms/people/LOAD00000001.csv"), ""},
		{held("LOAD00000001.csv", "", ""), "held: objects in the root, of no registered table; see: blotter held list --dir d"},
		{held("dms/prod/rms/reports/LOAD00000001.csv", "", ""), "held: objects in dms/prod/rms/reports/, of no registered table; see: blotter held list --dir d\n" +
			`  rms.reports is registered at "dms/rms/reports/", these objects lie at "dms/prod/rms/reports/": if they are its own, set source.prefix to "dms/prod/" (it is "dms/") and apply`},
	} {
		if note := of(tt.event); note != tt.want {
			t.Errorf("%v:\n%s\nwant\n%s", tt.event, note, tt.want)
		}
	}
	told := 0
	for i := range 2 * maxHeldNotes {
		if of(held(fmt.Sprintf("dms/rms/t%d/LOAD00000001.csv", i), "", "")) != "" {
			told++
		}
	}
	if want := maxHeldNotes - 4 + 1; told != want { // the last says that there are more
		t.Errorf("%d more notes, expected %d", told, want)
	}
}

// brokenStore is one that does not answer.
type brokenStore struct {
	control.Store
	control.Objects
}

func (brokenStore) CountObjects(context.Context, control.ObjectState, int) (int, error) {
	return 0, errors.New("throttled")
}

func (brokenStore) Tables(context.Context) ([]dms.TableID, error) {
	return nil, errors.New("throttled")
}

// A store that does not answer ends no run: the note goes without its hint, and that is
// said once; a run that is over says nothing.
func TestHeldNotesOutliveTheStore(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	n := newHeldNotes(brokenStore{}, site{}, slog.New(slog.NewTextHandler(&said, nil)))
	over, end := context.WithCancel(t.Context())
	end()
	if note := n.before(over, brokenStore{}); note != "" || said.Len() > 0 {
		t.Errorf("after the run it tells %q and says %q", note, said.String())
	}
	if note := n.before(t.Context(), brokenStore{}); note != "" {
		t.Errorf("of what is not known it tells %q", note)
	}
	for _, folder := range []string{"a", "b"} {
		e := &blotterv1.ObjectHeld{Object: &blotterv1.ObjectRef{Key: "dms/rms/" + folder + "/LOAD00000001.csv"}}
		if note := n.of(t.Context(), e); !strings.HasPrefix(note, "held: objects in dms/rms/"+folder+"/,") || strings.Contains(note, "\n") {
			t.Errorf("it tells %q", note)
		}
	}
	if strings.Count(said.String(), "throttled") != 1 {
		t.Errorf("it says\n%s", said.String())
	}
}

// Folders of registered tables below another prefix are named, each once.
func TestWrongPrefixes(t *testing.T) {
	t.Parallel()
	specs, err := registry.Parse([]byte(testTables), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	hints := wrongPrefixes(specs, []heldObject{
		{Key: "rms/reports/LOAD00000001.csv"}, {Key: "rms/reports/LOAD00000002.csv"}, {Key: "dms/rms/scratch/LOAD00000001.csv"},
		{Key: "x/rms/reports/LOAD00000001.csv", Part: "rms.reports"},
	})
	if len(hints) != 1 || !strings.Contains(hints[0], `set source.prefix to "" (it is "dms/")`) {
		t.Errorf("the hints are %q", hints)
	}
	var many []heldObject
	for i := range 2 * maxNamed {
		many = append(many, heldObject{Key: fmt.Sprintf("x%d/rms/reports/LOAD00000001.csv", i)})
	}
	if hints := wrongPrefixes(specs, many); len(hints) != maxNamed || !strings.Contains(hints[0], `"x0/rms/reports/"`) {
		t.Errorf("of many places the hints are %q", hints)
	}
}
