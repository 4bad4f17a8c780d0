package e2e

import (
	"fmt"
	"slices"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/tools/internal/explain"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// checkExplained: whatever happened on its way, the life of each row ends as the lake
// has it: with a row where there is one, and without where there is none.
func (w rebuiltWorld) checkExplained(stores *roles.Stores, specs []registry.Table) {
	t := w.t
	t.Helper()
	for _, spec := range specs {
		if len(spec.PrimaryKey) == 0 || spec.ID.IsTransactions() {
			continue
		}
		for range 3 {
			id := fmt.Sprint(10 + w.rng.IntN(20))
			life, err := explain.Explain(t.Context(), explain.Deps{
				Log: w.at.Log, Raw: stores.Raw, Staging: stores.Staging, Failed: stores.Failed, Lake: stores.Lake, Transform: transform.DefaultConfig(),
			}, explain.Query{Table: spec.ID, Key: func(_ []string, parse func([]string) ([]byte, error)) ([]byte, error) { return parse([]string{id}) }})
			if err != nil {
				t.Fatal(err)
			}
			there := w.at.IDs[spec.ID][id]
			holds := slices.ContainsFunc(life.Touches, func(t *explain.Touch) bool { return t.Fate == explain.Holds })
			if !life.Agrees || holds != there || len(life.Lake) > 0 != there {
				t.Errorf("%s, id %s (there %t): %+v", spec.ID, id, there, life)
				for _, touch := range life.Touches {
					t.Logf("%+v", touch)
				}
			}
		}
	}
}
