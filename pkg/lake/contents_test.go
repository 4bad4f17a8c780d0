package lake_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

func TestContents(t *testing.T) {
	w := quickWorld(t, delta())
	spec := reports()
	if _, err := w.lake.Contents(t.Context(), spec.ID); !errors.Is(err, lake.ErrNoTable) {
		t.Fatalf("a table that is not there gave %v", err)
	}
	var all []change
	for id := range int64(100) {
		all = append(all, report(700_000+id, "secret", "/l", id+1))
	}
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: all}))
	for n := range int64(3) {
		w.publish(t, spec, uint64(n+2), lake.Merge, w.stage(t, spec, stagedSpec{file: fmt.Sprint("c", n), kind: dms.KindChange, token: uint64(n + 2), changes: []change{
			report(700_000+n, "secret", fmt.Sprintf("/%02d", n), 1), report(800_000+n, "secret", fmt.Sprintf("/%02d", n), 2), removal(700_050+n, fmt.Sprintf("/%02d", n), 3)}}))
	}
	w.write(t, "rms/reports/data/left.parquet")
	c, err := w.lake.Contents(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c.Rows != 100 || len(c.DataFiles) != 4 || len(c.Deletes) != 3 || len(c.Snapshots) != 4 || len(c.Tombstones) != 3 || c.Token != 4 ||
		c.MetadataFiles < 4 || c.Orphans.Young != 1 || c.Orphans.Old != 0 || !c.Snapshots[3].Current || c.Snapshots[3].Token != "4" {
		t.Errorf("got %+v", c)
	}
	base := slices.MaxFunc(c.DataFiles, func(a, b lake.DataFileInfo) int { return cmp.Compare(a.Rows, b.Rows) })
	if base.Rows != 100 || base.Deleted != 6 || base.DeleteFiles != 3 || base.Overlaps != 3 || !base.Sorted {
		t.Errorf("the load's file is %+v", base)
	}
	if i := slices.IndexFunc(c.Due, func(d lake.Due) bool { return d.Step == lake.MaintainCompact }); i != 0 {
		t.Errorf("due are %v", c.Due)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(text); strings.Contains(s, "secret") || strings.Contains(s, "700001") || strings.Contains(s, "800001") {
		t.Errorf("it tells of values: %s", s)
	}
}
