package controltest

import (
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

func fileRoundTrip(t *testing.T, s Store) {
	ctx := t.Context()
	files := []control.FileRow{
		file(1, "waiting", true),
		{FileID: "ff", State: "ignored"}, // all else zero
		{FileID: "fe", Kind: dms.KindTransaction, State: "staged", Order: "0/ ~/x", Live: true,
			LastModified: time.Date(1969, 12, 31, 23, 59, 59, 1, time.FixedZone("", 3600)), Body: []byte{0, 255}},
		{FileID: "fd", Kind: dms.KindLoad, State: "published",
			LastModified: time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
	}
	must(t, s.Commit(ctx, control.Change{Table: reports, Files: files}))
	for _, want := range files {
		got, err := s.File(ctx, reports, want.FileID)
		must(t, err)
		checkFiles(t, "file", []control.FileRow{got}, want)
	}
	_, err := s.File(ctx, persons, files[0].FileID)
	wantNotFound(t, "a file of another table", err)

	// A row is replaced as a whole, and leaves the lists that it is no part of.
	changed := control.FileRow{FileID: files[0].FileID, Kind: dms.KindLoad, State: "published",
		Order: "5", LastModified: base.Add(time.Hour), Body: []byte("new")}
	must(t, s.Commit(ctx, control.Change{Table: reports, Expect: 1, Files: []control.FileRow{changed}}))
	got, err := s.File(ctx, reports, changed.FileID)
	must(t, err)
	checkFiles(t, "changed file", []control.FileRow{got}, changed)
	live, err := s.LiveFiles(ctx, reports)
	must(t, err)
	checkFiles(t, "live files", live, files[2])
}

func fileQueries(t *testing.T, s Store) {
	ctx := t.Context()
	tie := file(40, "granted", true)
	tie.Order = file(4, "", true).Order
	load := file(7, "published", false)
	load.Kind = dms.KindLoad
	late := file(8, "published", false)
	late.LastModified = base.Add(-time.Hour)
	all := []control.FileRow{
		file(5, "published", true), tie, file(4, "waiting", true), file(6, "quarantined", false),
		load, late, file(3, "published", false), file(2, "waiting", true), file(9, "skipped", false),
	}
	must(t, s.Commit(ctx, control.Change{Table: reports, Files: all}))
	must(t, s.Commit(ctx, control.Change{Table: persons, Files: []control.FileRow{file(1, "published", true)}}))

	live, err := s.LiveFiles(ctx, reports)
	must(t, err)
	checkFiles(t, "live files, by order", live, file(2, "waiting", true), file(4, "waiting", true), tie, file(5, "published", true))

	published, err := s.PublishedChanges(ctx, reports, base.Add(3*time.Second))
	must(t, err)
	checkFiles(t, "published at or after a time", published, file(3, "published", false), file(5, "published", true))
	published, err = s.PublishedChanges(ctx, reports, base.Add(3*time.Second+time.Nanosecond))
	must(t, err)
	checkFiles(t, "published after a time", published, file(5, "published", true))
	published, err = s.PublishedChanges(ctx, reports, time.Time{})
	must(t, err)
	checkFiles(t, "published at any time", published, file(3, "published", false), file(5, "published", true), late)

	files, err := s.Files(ctx, reports, nil, 3)
	must(t, err)
	checkFiles(t, "the newest", files, file(9, "skipped", false), late, load)
	files, err = s.Files(ctx, reports, []string{"published"}, 2)
	must(t, err)
	checkFiles(t, "the newest of a state", files, late, load)
	files, err = s.Files(ctx, reports, []string{"waiting", "quarantined", "granted", "waiting"}, 100)
	must(t, err)
	checkFiles(t, "several states", files, file(6, "quarantined", false), tie, file(4, "waiting", true), file(2, "waiting", true))
	files, err = s.Files(ctx, reports, []string{"waiting", "quarantined"}, 2)
	must(t, err)
	checkFiles(t, "several states, limited", files, file(6, "quarantined", false), file(4, "waiting", true))
	files, err = s.Files(ctx, reports, []string{"nonsense"}, 2)
	must(t, err)
	checkFiles(t, "an unknown state", files)
	fileIDs(t, s)
}

// fileIDs asks for the files of fileQueries by the beginnings of their ids.
func fileIDs(t *testing.T, s Store) {
	ctx := t.Context()
	files, err := s.FilesByID(ctx, reports, "00000000000000000000000000000002", 10)
	must(t, err)
	checkFiles(t, "a whole id", files, file(2, "waiting", true))
	files, err = s.FilesByID(ctx, reports, "0000000000000000000000000000000", 3)
	must(t, err)
	checkFiles(t, "the beginning of several, limited", files, file(2, "waiting", true), file(3, "published", false), file(4, "waiting", true))
	files, err = s.FilesByID(ctx, persons, "", 10)
	must(t, err)
	checkFiles(t, "all of a table", files, file(1, "published", true))
	for _, none := range []string{"1", "000000000000000000000000000000020"} {
		files, err = s.FilesByID(ctx, reports, none, 10)
		must(t, err)
		checkFiles(t, "no id begins with "+none, files)
	}
}
