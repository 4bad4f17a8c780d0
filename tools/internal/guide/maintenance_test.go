package guide

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/lake"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// TestMaintenancePage holds the page about maintenance to the thresholds that are
// in force, and to the commands that there are.
func TestMaintenancePage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../deploy/guide/maintenance.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(content)), " ")
	m, l := lake.DefaultMaintenanceConfig(), lockmanager.DefaultConfig()
	hours := func(d time.Duration) string { return fmt.Sprintf("%.0f h", d.Hours()) }
	for _, want := range []string{
		fmt.Sprintf("after so many publications | %d |", l.MaintainAfter),
		fmt.Sprintf("the first of fewer | %s |", hours(l.MaintainAge)),
		fmt.Sprintf("between files after | %d publications |", l.MaintainAtLatest),
		fmt.Sprintf("one step after every | %d publications |", l.MaintainBetween),
		fmt.Sprintf("a step may take | %s |", hours(l.MaintainTimeout)),
		fmt.Sprintf("tried again after | %.0f min,", l.MaintainRetry.Minutes()),
		fmt.Sprintf("more than %g %% of a data file's rows", 100*m.DeletedFraction),
		fmt.Sprintf("data files that are small or have deleted rows have at most %d Mi rows and %d MiB together", m.TidyRows>>20, m.TidyBytes>>20),
		fmt.Sprintf("%d files, %d Mi rows, %d MiB (one", m.StepFiles, m.StepRows>>20, m.StepBytes>>20),
		fmt.Sprintf("more than %d data files are small: below %d Ki rows and %d MiB", m.MaxSmallFiles, m.SmallFileRows>>10, m.SmallFileBytes>>20),
		fmt.Sprintf("more than %d delete files", m.MaxFileDeletes),
		fmt.Sprintf("more than %d manifests of data files | %d manifests", m.MaxManifests, m.StepManifests),
		fmt.Sprintf("%d snapshots are older than %s, beyond the newest %d | %d snapshots", m.ExpireAtLeast, hours(m.ExpireAfter), m.KeepSnapshots, m.StepSnapshots),
		fmt.Sprintf("not searched for %s, and the table changed or something was too young | %d objects", hours(m.OrphanEvery), m.StepObjects),
		fmt.Sprintf("when they are %.0f hours old", m.OrphanAge.Hours()),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	checkCommands(t, string(content))
}
