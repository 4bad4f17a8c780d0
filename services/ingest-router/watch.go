package ingestrouter

import (
	"context"
	"fmt"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// maxUnwhole bounds how long the other files of a table wait for a load file that is
// being written: long enough for one of 1 GB, and no longer, should it never end.
const maxUnwhole = 15 * time.Minute

// Watch offers what is new in the raw bucket, at once and whenever wake says
// that something may have changed. A scan that fails is logged and tried again
// at the next wake-up; Watch returns when ctx ends.
func (s *Service) Watch(ctx context.Context, wake <-chan struct{}) error {
	for {
		if err := s.Scan(ctx); err != nil && ctx.Err() == nil {
			s.deps.Logger.ErrorContext(ctx, "scan the raw bucket", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}

// Scan offers what is new in the raw bucket, once: the load files first, although the
// names of change files come before theirs. So changes that lie beside a load that is
// new are held for it. Otherwise they would be published only to be folded into it, or
// a bad one would pause the table before its load. Where a load file is still being
// written, the other files of its table wait for a later scan.
func (s *Service) Scan(ctx context.Context) error {
	s.scanning.Lock()
	defer s.scanning.Unlock()
	loads, err := s.offerLoads(ctx)
	if err != nil {
		return err
	}
	if s.unwhole = s.stillUnwhole(loads.unwhole); !loads.others {
		return nil
	}
	for info, err := range s.deps.Raw.Fresh(ctx, "", func(key string, _ bool) bool { return !s.waits(key) }) {
		if err != nil {
			return fmt.Errorf("scan the raw bucket: %w", err)
		}
		if _, err := s.offerListed(ctx, s.object(info)); err != nil {
			return err
		}
	}
	return nil
}

// Writing reports whether the last scan has left a load file that is still being written.
func (s *Service) Writing() bool {
	s.scanning.Lock()
	defer s.scanning.Unlock()
	return len(s.unwhole) > 0
}

// freshLoads tells of a scan for load files.
type freshLoads struct {
	told    int64                    // those of which nothing had been said
	others  bool                     // there is more that is fresh
	unwhole map[dms.TableID]struct{} // tables of those that are still being written
}

// offerLoads offers the load files that are new in the raw bucket.
func (s *Service) offerLoads(ctx context.Context) (freshLoads, error) {
	found := freshLoads{unwhole: map[dms.TableID]struct{}{}}
	want := func(key string, whole bool) bool {
		isLoad := kindOf(s.registered(), key) == dms.KindLoad
		if table, _, ok := s.registered().Match(key); isLoad && ok && !whole {
			found.unwhole[table] = struct{}{}
		}
		found.others = found.others || !isLoad && whole
		return isLoad
	}
	for info, err := range s.deps.Raw.Fresh(ctx, "", want) {
		if err != nil {
			return found, fmt.Errorf("scan the raw bucket for full loads: %w", err)
		}
		isNew, err := s.offerListed(ctx, s.object(info))
		if err != nil {
			return found, err
		}
		if isNew {
			found.told++
		}
	}
	return found, nil
}

// stillUnwhole adds since when a load file of each table has been seen unwhole.
func (s *Service) stillUnwhole(tables map[dms.TableID]struct{}) map[dms.TableID]time.Time {
	since := make(map[dms.TableID]time.Time, len(tables))
	for table := range tables {
		at, before := s.unwhole[table]
		if !before {
			at = s.deps.Now()
		}
		since[table] = at
	}
	return since
}

// waits reports whether an object waits for a load file of its table.
func (s *Service) waits(key string) bool {
	if len(s.unwhole) == 0 {
		return false
	}
	table, _, ok := s.registered().Match(key)
	since, unwhole := s.unwhole[table]
	return ok && unwhole && s.deps.Now().Sub(since) < maxUnwhole
}
