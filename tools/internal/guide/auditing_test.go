package guide

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestAuditingPage tries what the page about auditing shows, in its order, and holds it
// to the findings that there are.
func TestAuditingPage(t *testing.T) {
	t.Parallel()
	blocks, prose := readPage(t, "../../../deploy/guide/auditing.md")
	checkCommands(t, prose)
	source, err := os.ReadFile("../fsck/finding.go")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`= "([a-z_]+\.[a-z_]+)"\s*(// note)?`).FindAllSubmatch(source, -1)
	var told []string
	for _, m := range regexp.MustCompile("`([a-z]+\\.[a-z_]+)`").FindAllStringSubmatch(prose, -1) {
		told = append(told, m[1])
	}
	if len(known) < 12 {
		t.Fatalf("only %d kinds of findings were found", len(known))
	}
	for _, m := range known {
		if note := len(m[2]) > 0; !note && !slices.Contains(told, string(m[1])) {
			t.Errorf("the page does not tell of %s", m[1])
		}
	}
	t.Run("commands", func(t *testing.T) { tryRecipe(t, blocks) })
}
