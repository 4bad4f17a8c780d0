package dms

import "testing"

func TestPartID(t *testing.T) {
	part := Part{FileID: "f", Schema: "rms", Table: "reports"}
	if id := part.ID(); id != "a8b45ba9ab41a41ec889507974b035c6" {
		t.Errorf("the id is %q, which every replay must find again", id)
	}
	seen := map[FileID]Part{}
	for _, p := range []Part{
		part,
		{FileID: "g", Schema: "rms", Table: "reports"},
		{FileID: "f", Schema: "rm", Table: "sreports"},
		{FileID: "f", Schema: "reports", Table: "rms"},
		{FileID: "f", Schema: "RMS", Table: "reports"}, // what the source tells apart are two tables
	} {
		if other, twice := seen[p.ID()]; twice {
			t.Errorf("%v and %v have one id", p, other)
		}
		seen[p.ID()] = p
	}
}

func TestControlPart(t *testing.T) {
	for table, want := range map[string]bool{
		"awsdms_status": true, "AWSDMS_APPLY_EXCEPTIONS": true, "awsdms": false, "reports": false, "my_awsdms_x": false, "": false,
	} {
		if got := (Part{Table: table}).IsControl(); got != want {
			t.Errorf("%q: %v, want %v", table, got, want)
		}
	}
}
