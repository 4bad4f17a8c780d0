package lifecycle

import (
	"context"
	"time"
)

// Outlive gives a context that ends d after ctx has ended, or once it is cancelled. It is
// for what must not be broken off half done, as a request that takes something out of a
// queue. The caller cancels it when that is over.
func Outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-own.Done():
		}
	})
	return own, func() {
		unhook()
		cancel()
	}
}
