package ingresstest_test

import (
	"testing"

	"github.com/openblotter/blotter/pkg/ingress"
	"github.com/openblotter/blotter/pkg/ingress/ingresstest"
)

func TestMemory(t *testing.T) {
	ingresstest.Run(t, func(*testing.T) (ingress.Queue, func(string)) {
		q := ingresstest.NewMemory()
		return q, q.Send
	})
}
