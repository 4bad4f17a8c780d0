package main

import (
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// recorded is a log of a few events.
type recorded []eventlog.Record

func (l recorded) Read(_ context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		for _, r := range l {
			if f.Event != "" && f.Event != string(r.Event.ProtoReflect().Descriptor().Name()) {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// The way of a file holds the rows of it that were mended, also where that was told
// before what is asked for; the way of mended rows holds that of their own file.
func TestWayOfMendedRows(t *testing.T) {
	t.Parallel()
	arrived := func(seq uint64, id, of string) eventlog.Record {
		e := &blotterv1.ObjectArrived{FileId: id}
		if of != "" {
			e.Mending = &blotterv1.Mending{FileId: of}
		}
		return eventlog.Record{Seq: seq, Envelope: &blotterv1.Envelope{Correlation: id}, Event: e}
	}
	published := func(seq uint64, ids ...string) eventlog.Record {
		e := &blotterv1.FilesPublished{}
		for _, id := range ids {
			e.Files = append(e.Files, &blotterv1.PublishedFile{FileId: id})
		}
		return eventlog.Record{Seq: seq, Envelope: &blotterv1.Envelope{}, Event: e}
	}
	log := recorded{
		arrived(1, "aaaaaaaa1", ""), arrived(2, "bbbbbbbb1", ""), arrived(3, "mmmmmmmm1", "aaaaaaaa1"), arrived(4, "mmmmmmmm2", "aaaaaaaa1"),
		arrived(5, "nnnnnnnn1", "bbbbbbbb1"), published(6, "aaaaaaaa1"), published(7, "mmmmmmmm1", "cccccccc1"), published(8, "mmmmmmmm2"), published(9, "nnnnnnnn1"),
	}
	for _, tt := range []struct {
		file  string
		since uint64 // the events before are not asked for
		want  []uint64
	}{
		{"aaaaaaaa", 0, []uint64{1, 3, 4, 6, 7, 8}},
		{"aaaaaaaa", 6, []uint64{6, 7, 8}},
		{"mmmmmmmm1", 0, []uint64{1, 3, 4, 6, 7}}, // its file was mended elsewhere, too
		{"mmmmmmmm1", 7, []uint64{7}},
		{"nnnnnn", 0, []uint64{2, 5, 9}},
		{"cccccccc", 0, []uint64{7}},
	} {
		w := wayOf(tt.file)
		if err := w.learn(t.Context(), log, dms.TableID{}); err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, r := range log {
			if r.Seq >= tt.since && w.has(r) {
				got = append(got, r.Seq)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s from %d: %v, want %v", tt.file, tt.since, got, tt.want)
		}
	}
}
