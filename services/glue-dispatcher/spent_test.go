package gluedispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// unfinished is a Glue that ends no batch: of some it still knows how files ended.
type unfinished struct {
	*fakeGlue
	outcomes []jobs.Outcome
}

func (u unfinished) RunBatch(context.Context, jobs.Batch, jobs.Watch) ([]jobs.Outcome, error) {
	return slices.Clone(u.outcomes), errors.New("the bucket is away")
}

// TestWhatEndedBeforeAllAttemptsWereSpentIsToldAsItEnded: the rest has the failure of its
// run.
func TestWhatEndedBeforeAllAttemptsWereSpentIsToldAsItEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		outcomes []jobs.Outcome
		want     []string
	}{
		"some ended": {
			[]jobs.Outcome{{}, {Failure: &transform.Failure{Code: "value.date", Message: "it is bad"}}, {Staged: &blotterv1.StagedFile{FileId: strings.Repeat("c", 32), Token: 3}}},
			[]string{"c", "b value.date false", "a transform.unavailable true"},
		},
		"none is known to have ended": {
			nil, []string{"a transform.unavailable true", "b transform.unavailable true", "c transform.unavailable true"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			g := &blotterv1.LockGranted{
				Token: 3, Engine: blotterv1.Engine_ENGINE_GLUE, Transform: true, Deadline: timestamppb.New(time.Now().Add(time.Hour)),
			}
			for _, id := range []string{"a", "b", "c"} {
				g.Files = append(g.Files, &blotterv1.FileRef{FileId: strings.Repeat(id, 32)})
			}
			s.locks(t, "grant", g)
			l, _ := eventlogtest.Open(t, s.url)
			service, err := New(config(), Deps{
				Log: l, Runner: &onceAway{}, Glue: unfinished{&fakeGlue{}, tt.outcomes}, Specs: noSpecs("blotter"), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			eventlogtest.Run(t, service.Run)
			eventlogtest.Idle(t, s.log, ServiceName)
			var got []string
			for _, r := range eventlogtest.Read(t, s.log, eventlog.Filter{Table: reports, Service: ServiceName}) {
				switch e := r.Event.(type) {
				case *blotterv1.FileTransformed:
					got = append(got, e.GetStaged().GetFileId()[:1])
				case *blotterv1.TransformFailed:
					got = append(got, fmt.Sprint(e.GetFileId()[:1], " ", e.GetFailure().GetCode(), " ", e.GetOfRun()))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("it says %q, expected %q", got, tt.want)
			}
		})
	}
}
