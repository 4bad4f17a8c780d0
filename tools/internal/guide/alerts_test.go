package guide

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/alert/alerttest"
)

// TestAlertsPage holds the page about alerts to what an alert has, and to the commands
// that there are.
func TestAlertsPage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../deploy/guide/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(alerttest.Full())
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(encoded, &fields); err != nil {
		t.Fatal(err)
	}
	page := string(content)
	said := regexp.MustCompile("(?s)## What an alert says(.*?)No value").FindString(page)
	names := []string{alert.TablePaused, alert.LoadHeld, alert.RowsSetAside, alert.Test}
	for name := range fields {
		names = append(names, name)
	}
	for _, name := range names {
		if !strings.Contains(said, "`"+name+"`") {
			t.Errorf("the page lacks %s", name)
		}
	}
	checkCommands(t, page)
}
