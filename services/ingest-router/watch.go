package ingestrouter

import (
	"context"
	"fmt"
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

// Scan offers what is new in the raw bucket, once.
func (s *Service) Scan(ctx context.Context) error {
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
