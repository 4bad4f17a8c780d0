package ingestrouter

import (
	"context"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
)

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

// Scan offers what is new in the raw bucket, once. The first scan offers the
// load files first: where both lie there already, the changes are then held for
// their load, instead of being published, only to be folded into it.
func (s *Service) Scan(ctx context.Context) error {
	if !s.scanned.Swap(true) {
		if err := s.scanLoads(ctx); err != nil {
			s.scanned.Store(false)
			return err
		}
	}
	for info, err := range s.deps.Raw.Fresh(ctx, "") {
		if err != nil {
			return fmt.Errorf("scan the raw bucket: %w", err)
		}
		if _, err := s.offerListed(ctx, s.object(info)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) scanLoads(ctx context.Context) error {
	for info, err := range s.deps.Raw.Scan(ctx, "") {
		if err != nil {
			return fmt.Errorf("scan the raw bucket for full loads: %w", err)
		}
		o := s.object(info)
		if kindOf(s.matcher.Load(), o.Key) != dms.KindLoad {
			continue
		}
		if _, err := s.offerListed(ctx, o); err != nil {
			return err
		}
	}
	return nil
}
