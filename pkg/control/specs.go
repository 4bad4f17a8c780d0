package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// specCacheSize bounds the registrations that Specs keeps in memory.
const specCacheSize = 2048

// Specs reads registrations through a Store. A version never changes, so those
// that were read are kept in memory. Many goroutines may use it.
type Specs struct {
	store interface {
		Spec(ctx context.Context, table dms.TableID, version uint64) (Spec, error)
		Tables(ctx context.Context) ([]dms.TableID, error)
	}
	cache *lru.Cache[specKey, registry.Table]
}

type specKey struct {
	table   dms.TableID
	version uint64
}

// NewSpecs reads through store.
func NewSpecs(store Store) *Specs {
	cache, err := lru.New[specKey, registry.Table](specCacheSize)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &Specs{store: store, cache: cache}
}

// Spec gives one version of a table's registration; version 0 is the newest.
// ErrNotFound if there is none.
func (s *Specs) Spec(ctx context.Context, table dms.TableID, version uint64) (registry.Table, error) {
	key := specKey{table, version}
	if spec, ok := s.cache.Get(key); ok {
		return spec, nil
	}
	stored, err := s.store.Spec(ctx, table, version)
	if err != nil {
		return registry.Table{}, fmt.Errorf("read the registration of %s: %w", table, err)
	}
	spec, err := registry.ParseTable(stored.JSON)
	if err != nil {
		return registry.Table{}, fmt.Errorf("read the registration of %s, version %d: %w", table, stored.Version, err)
	}
	if version > 0 {
		s.cache.Add(key, spec)
	}
	return spec, nil
}

// maxSpecReads bounds the registrations that are read at once.
const maxSpecReads = 16

// Newest gives the newest registration of every registered table, by name.
func (s *Specs) Newest(ctx context.Context) ([]registry.Table, error) {
	ids, err := s.store.Tables(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	specs := make([]registry.Table, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxSpecReads)
	for i, id := range ids {
		group.Go(func() error {
			spec, err := s.Spec(ctx, id, 0)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
			specs[i] = spec
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(specs, func(t registry.Table) bool { return t.Version == 0 }), nil
}
