package registry

import "testing"

func TestNearby(t *testing.T) {
	tables := []Table{
		place("rms", "reports", "dms/", "rms/reports/"), place("rms", "persons", "dms/rms/", "rms/persons/"),
		place("hr", "reports", "hr/dms/", "rms/reports/"), place("rms", "old", "dms/", "reports/"), place("rms", "all", "all/", ""),
	}
	for key, want := range map[string]struct{ table, prefix string }{
		"dms/prod/rms/reports/LOAD00000001.csv":          {"hr.reports", "dms/prod/"}, // a level too few
		"dms/prod/rms/reports/2024/03/04/20240304-1.csv": {"hr.reports", "dms/prod/"},
		"rms/reports/LOAD00000001.csv":                   {"hr.reports", ""}, // a level too many
		"dms/rms/persons/LOAD00000001.csv":               {"rms.persons", "dms/"},
		"x/reports/LOAD00000001.csv":                     {"rms.old", "x/"},
		"dms/rms/reports2/LOAD00000001.csv":              {},
		"dms/xrms/reportsx/LOAD00000001.csv":             {},
		"dms/rms/others/LOAD00000001.csv":                {},
		"LOAD00000001.csv":                               {},
	} {
		got, prefix, ok := Nearby(tables, key)
		if ok != (want.table != "") || ok && (got.ID.String() != want.table || prefix != want.prefix) {
			t.Errorf("%s: %s below %q, %v; want %+v", key, got.ID, prefix, ok, want)
		}
	}
	if _, _, ok := Nearby(tables[:1], "dms/rms/reports/LOAD00000001.csv"); ok {
		t.Error("what lies where its table is registered is told as if it did not")
	}
}
