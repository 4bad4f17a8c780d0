package callbacktest_test

import (
	"fmt"
	"testing"

	"github.com/openblotter/blotter/pkg/callback/callbacktest"
)

func TestMemory(t *testing.T) {
	m, n := callbacktest.NewMemory(), 0
	callbacktest.Run(t, callbacktest.Site{
		Tasks: m,
		Wait: func(*testing.T) string {
			n++
			token := fmt.Sprint(n)
			m.Wait(token)
			return token
		},
		Ended: func(t *testing.T, token string) callbacktest.Answer {
			a, ok := m.Answer(token)
			if !ok {
				t.Errorf("task %s was not answered", token)
			}
			return a
		},
		Stop: func(_ *testing.T, token string) { m.Stop(token) },
	})
}
