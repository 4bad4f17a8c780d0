package lake_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

// links is registered wrong at first: with a key of one column, a number that is a
// text, and a column that may be null.
func links(key ...string) registry.Table {
	return table("rms", "links", key,
		registry.Column{Name: "id", Type: typed(registry.Long), Required: true},
		registry.Column{Name: "report_id", Type: typed(registry.Long)},
		registry.Column{Name: "badge", Type: typed(registry.Int)})
}

// linksMended is the registration after it, as the registry numbers it.
func linksMended() registry.Table {
	spec := links("report_id", "id")
	spec.Version = 2
	spec.Columns[1].Required = true
	spec.Columns[2].Type = typed(registry.String)
	spec.Columns = append(spec.Columns, registry.Column{ID: spec.Provenance.Next, Name: "unit", Type: typed(registry.String), Required: true})
	spec.Provenance.Next++
	return spec
}

// TestRegistrationMendedBeforeAnything: a table that was only ever fenced becomes
// whatever the registration says, and is a table like any other from then on.
func TestRegistrationMendedBeforeAnything(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	for token := range uint64(2) {
		if _, err := w.lake.Fence(t.Context(), links("id"), lake.Turn{Token: token + 1}); err != nil {
			t.Fatal(err)
		}
	}
	spec := linksMended()
	link := func(id, report int64, badge, pos string) change {
		return change{values: values(id, report, badge, "u"), pos: pos, row: 1}
	}
	w.publish(t, spec, 3, lake.Merge, w.stage(t, spec, stagedSpec{file: "a", kind: dms.KindChange, token: 3,
		changes: []change{link(1, 1, "A12", "/a"), link(1, 2, "A13", "/a"), link(2, 1, "A14", "/a")}}))
	w.publish(t, spec, 4, lake.Merge, w.stage(t, spec, stagedSpec{file: "b", kind: dms.KindChange, token: 4, changes: []change{
		link(1, 2, "B1", "/b"), {values: []parquet.Value{parquet.Int64Value(1), parquet.Int64Value(1)}, deleted: true, pos: "/b", row: 2}}}))
	expect(t, w.rows(t, spec.ID), "2|1|A14|u", "1|2|B1|u")

	tbl, err := w.catalog.LoadTable(t.Context(), lake.Identifier(spec.ID))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range tbl.Schema().Fields() {
		names = append(names, strings.TrimSuffix(f.Name+" required", map[bool]string{false: " required"}[f.Required]))
	}
	// What is no key may be null in a change.
	if want := []string{"id required", "report_id required", "badge", "unit"}; !slices.Equal(names[:4], want) {
		t.Errorf("columns are %q, expected %q", names, want)
	}
	var sorted []int
	for _, f := range tbl.SortOrder().Fields() {
		sorted = append(sorted, f.SourceIDs...)
	}
	if !slices.Equal(sorted, []int{2, 1}) || !slices.Equal(tbl.Schema().IdentifierFieldIDs, []int{1, 2}) {
		t.Errorf("sorted by %v, identified by %v", sorted, tbl.Schema().IdentifierFieldIDs)
	}
}

// TestRegistrationMendedTooLate: once the table remembers something, be it a delete
// alone or that a load was empty, its key and types stay.
func TestRegistrationMendedTooLate(t *testing.T) {
	for name, first := range map[string]struct {
		mode  lake.Mode
		kind  dms.FileKind
		lines []change
	}{
		"a row":         {lake.Merge, dms.KindChange, []change{{values: values(int64(1), int64(1), 7), pos: "/a", row: 1}}},
		"a delete":      {lake.Merge, dms.KindChange, []change{removal(1, "/a", 1)}},
		"an empty load": {lake.Replace, dms.KindLoad, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lake.DefaultConfig())
			spec := links("id")
			w.publish(t, spec, 1, first.mode, w.stage(t, spec, stagedSpec{file: "a", kind: first.kind, token: 1, changes: first.lines}))
			if _, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 2}); err != nil {
				t.Fatal(err)
			}
			_, err := w.lake.Publish(t.Context(), lake.Request{Spec: linksMended(), Token: 3, Mode: lake.Merge})
			if !errors.Is(err, lake.ErrIncompatible) {
				t.Errorf("got %v", err)
			}
		})
	}
}
