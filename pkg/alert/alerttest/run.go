package alerttest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/alert"
)

// Site is a channel under test.
type Site struct {
	Channel alert.Channel
	// Taken waits for the next alert that arrived, as whoever listens decodes it.
	Taken func(t *testing.T) alert.Alert
	// Secret is a part of the channel's address that nothing may show; empty: none.
	Secret string
}

// Full is an alert in which nothing is empty, with characters of all kinds.
func Full() alert.Alert {
	return alert.Alert{
		ID: "3f6c1a", Time: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Kind: alert.TablePaused, Table: "rms.straßen",
		Reason: "failure", Detail: "row 3: \"12,5\" is no int",
		File:    &alert.File{ID: "c0ffee", Bucket: "rms-raw", Key: "dms/rms/straßen/20260304 <1>&2.csv", VersionID: "v1"},
		Failure: &alert.Failure{Code: "value.type", Message: "no int", Row: 3, Column: "größe", Expected: "an int", Hint: "mend it", RowsFailed: 2},
		Report:  "rms/straßen/report.json", Commands: []string{"blotter resume 'rms.straßen' --retry   # again"},
	}
}

// Run proves the contract of alert.Channel.
func Run(t *testing.T, s Site) {
	t.Run("everything arrives", func(t *testing.T) {
		want := Full()
		if err := s.Channel.Send(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got := s.Taken(t); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, sent %+v", got, want)
		}
	})
	t.Run("little arrives", func(t *testing.T) {
		want := alert.Alert{
			ID: "4", Time: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC), Kind: alert.TablePaused, Table: "rms.t", Reason: "operator",
			Commands: []string{"blotter resume 'rms.t'"},
		}
		if err := s.Channel.Send(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got := s.Taken(t); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, sent %+v", got, want)
		}
	})
	t.Run("the same alert again has the same id", func(t *testing.T) {
		for range 2 {
			if err := s.Channel.Send(t.Context(), Full()); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := s.Taken(t), s.Taken(t); a.ID != b.ID {
			t.Errorf("ids %s and %s", a.ID, b.ID)
		}
	})
	t.Run("no more time", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.Channel.Send(ctx, Full())
		if !errors.Is(err, context.Canceled) || errors.Is(err, alert.ErrRefused) {
			t.Errorf("got %v", err)
		}
		if s.Secret != "" && (strings.Contains(err.Error(), s.Secret) || strings.Contains(s.Channel.Name(), s.Secret)) {
			t.Errorf("%v, of %s, shows a secret", err, s.Channel.Name())
		}
	})
}
