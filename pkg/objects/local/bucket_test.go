package local_test

import (
	"testing"

	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/objects/objectstest"
)

func open(t testing.TB, dir string, opts ...local.Option) *local.Bucket {
	t.Helper()
	b, err := local.New("raw", dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestContract(t *testing.T) {
	objectstest.Run(t, func(t *testing.T) objects.Bucket { return open(t, t.TempDir()) })
}

func TestContractImmutable(t *testing.T) {
	objectstest.Run(t, func(t *testing.T) objects.Bucket { return open(t, t.TempDir(), local.Immutable()) })
}
