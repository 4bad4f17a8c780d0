package alerttest_test

import (
	"testing"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/alert/alerttest"
)

func TestMemory(t *testing.T) {
	m, seen := &alerttest.Memory{}, 0
	alerttest.Run(t, alerttest.Site{Channel: m, Taken: func(t *testing.T) alert.Alert {
		t.Helper()
		taken := m.Taken()
		if len(taken) <= seen {
			t.Fatal("nothing arrived")
		}
		seen++
		return taken[seen-1]
	}})
}
