package local_test

import (
	"testing"
	"time"

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

func TestScanner(t *testing.T) {
	objectstest.RunScanner(t, func(t *testing.T) (objects.Bucket, objects.Scanner) {
		b := open(t, t.TempDir())
		w, err := b.Watch(t.Context(), local.WatchConfig{StableFor: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
		return b, w
	})
}
