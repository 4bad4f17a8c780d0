package ingestrouter

import (
	"context"
	"time"
)

// Watch scans the raw bucket again and again: whenever wake says that
// something changed, at the latest after interval. A scan that fails is logged
// and tried again; Watch returns when ctx ends.
func (s *Service) Watch(ctx context.Context, wake <-chan struct{}, interval time.Duration) error {
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		if err := s.Scan(ctx, nil); err != nil && ctx.Err() == nil {
			s.deps.Logger.ErrorContext(ctx, "scan the raw bucket", "error", err)
		}
		timer.Reset(interval)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		case <-timer.C:
		}
	}
}
