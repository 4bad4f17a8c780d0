package lifecycle

import (
	"context"
	"os/signal"
	"syscall"
)

// Signals gives a context that ends with the first SIGINT or SIGTERM, for an
// orderly stop. A second signal has its usual effect: it ends the process at
// once. stop gives the signals back; it may be called again.
func Signals(ctx context.Context) (_ context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
