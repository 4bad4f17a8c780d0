package lifecycle

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestOutlive(t *testing.T) {
	for name, c := range map[string]struct {
		ends, cancels, want time.Duration
	}{
		"its parent has ended before": {0, time.Hour, 3 * time.Second},
		"its parent ends":             {time.Minute, time.Hour, time.Minute + 3*time.Second},
		"it is over first":            {time.Minute, time.Second, time.Second},
		"it is over in between":       {time.Minute, time.Minute + time.Second, time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), c.ends)
				defer cancel()
				longer, over := Outlive(ctx, 3*time.Second)
				defer over()
				time.AfterFunc(c.cancels, over)
				<-longer.Done()
				if got := time.Since(began); got != c.want {
					t.Errorf("it ended after %s, expected %s", got, c.want)
				}
			})
		})
	}
}
