package sample

import (
	"slices"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

func TestRegistration(t *testing.T) {
	d := small(t, nil)
	tables, err := registry.Parse([]byte(d.Registration), "rms.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != len(d.Tables) {
		t.Fatalf("%d tables, expected %d", len(tables), len(d.Tables))
	}
	modes := map[string]dms.OrderMode{"officers": dms.OrderByFile, "arrests": dms.OrderByTimestamp}
	for i, table := range tables {
		if table.ID != d.Tables[i].ID || !slices.Equal(table.PrimaryKey, d.Tables[i].PrimaryKey) {
			t.Errorf("table %d is %s by %v, expected %s by %v", i, table.ID, table.PrimaryKey, d.Tables[i].ID, d.Tables[i].PrimaryKey)
		}
		want, ok := modes[table.ID.Table]
		if !ok {
			want = dms.OrderByChangeSeq
		}
		if table.DMS.OrderMode() != want {
			t.Errorf("%s is ordered by %v, expected %v", table.ID, table.DMS.OrderMode(), want)
		}
		layouts(t, d, table)
	}
	wide, err := registry.Parse([]byte(LoadRegistration("bench", "wide", 20)), "wide.yaml")
	if err != nil || len(wide) != 1 || len(wide[0].Columns) != 20 {
		t.Errorf("%v, %v", wide, err)
	}
}

// layouts checks that the registration reads the columns as they were written.
func layouts(t *testing.T, d *Drop, table registry.Table) {
	t.Helper()
	s := d.schema(t, table.ID)
	if s.settings.header {
		return
	}
	for _, kind := range []dms.FileKind{dms.KindLoad, dms.KindChange} {
		want := s.layout(kind == dms.KindLoad)
		got, err := table.LayoutFor(kind, "20240304-061405121", len(want))
		if err != nil || !slices.Equal(got.Columns, want) {
			t.Errorf("%s, %s: columns %v, %v; expected %v", table.ID, kind, got.Columns, err, want)
		}
	}
}
