package eventlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/natsserver"
)

// damage changes one byte of events in the files of a server that has ended.
func damage(t *testing.T, dir string, events ...Event) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(blocks) != 1 {
		t.Fatalf("the files of the stream: %v, %v", blocks, err)
	}
	b, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		at := bytes.LastIndex(b, []byte(e.Correlation)) // in the message; its id is in the header
		if at < 0 {
			t.Fatalf("no event %s in the files", e.ID)
		}
		b[at] ^= 1
	}
	if err := os.WriteFile(blocks[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a server finds damaged it passes over, and goes on to count. A read tells, and
// gives what is there first.
func TestADamagedEventIsMissed(t *testing.T) {
	other := dms.TableID{DB: "rms", Table: "officers"}
	var all []Event // in the order of the log, of both tables in turns
	for n := range 20 {
		all = append(all, arrived([]dms.TableID{reports, other}[n%2], n))
	}
	for name, lost := range map[string][]int{
		"first": {1}, "middle": {7}, "last of a table": {19}, "last": {20}, "of both": {7, 8, 12}, "none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			l := logOf(t, all, lost)
			for what, f := range map[string]Filter{
				"all": {}, "from": {FromSeq: 6}, "service": {Service: "ingest-router"},
				"reports": {Table: reports}, "officers": {Table: other}, "events": {Event: "ObjectArrived"},
				"until": {UntilSeq: 6}, "time": {From: time.Unix(1, 0)}, "table and time": {Table: other, From: time.Unix(1, 0)},
			} {
				checkRead(t, what, l, f, all, lost)
			}
			err := l.Whole(t.Context())
			var missing *MissingError
			if errors.As(err, &missing) != (len(lost) > 0) || err != nil && missing == nil {
				t.Errorf("Whole: %v, lost %v", err, lost)
			}
			if missing != nil && (int(missing.Events) != len(lost) || missing.Spans[0].First != uint64(lost[0])) { //nolint:gosec // small
				t.Errorf("Whole: %+v, lost %v", missing, lost)
			}
		})
	}
}

// checkRead reads a log that lost events, of which a whole one would give all.
func checkRead(t *testing.T, what string, l *Log, f Filter, all []Event, lost []int) {
	t.Helper()
	chosen := func(seq int) bool {
		return (f.Table.IsZero() || all[seq-1].Table == f.Table) &&
			uint64(seq) >= f.FromSeq && (f.UntilSeq == 0 || uint64(seq) <= f.UntilSeq) //nolint:gosec // small
	}
	var want, got []uint64
	tells := false // that it must
	for seq := 1; seq <= len(all); seq++ {
		switch {
		case !chosen(seq):
		case slices.Contains(lost, seq):
			// A read that begins at a time cannot know what lacks at its beginning.
			tells = tells || f.From.IsZero()
		default:
			want = append(want, uint64(seq)) //nolint:gosec // small
		}
	}
	var failed error
	for r, err := range l.Read(t.Context(), f) {
		if err != nil {
			failed = err
			break
		}
		got = append(got, r.Seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: gave %v, of %v that are there", what, got, want)
	}
	var missing *MissingError
	if failed != nil && !errors.As(failed, &missing) || tells && missing == nil {
		t.Errorf("%s: lost %v, told %v", what, lost, failed)
	}
	if touched := slices.ContainsFunc(lost, chosen); !touched && failed != nil {
		t.Errorf("%s: nothing of it is lost: %v", what, failed)
	}
}

// logOf is a log of events, of which a server lost some.
func logOf(t *testing.T, all []Event, lost []int) *Log {
	t.Helper()
	cfg := natsserver.DefaultConfig()
	cfg.Dir = t.TempDir()
	server, err := natsserver.Start(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	logConfig := testConfig()
	logConfig.CallTimeout = 500 * time.Millisecond
	l := openLog(t, server.URL(), logConfig)
	for _, e := range all {
		if _, err := l.PublishOnce(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	server.Close()
	var broken []Event
	for _, seq := range lost {
		broken = append(broken, all[seq-1])
	}
	damage(t, cfg.Dir, broken...)
	if server, err = natsserver.Start(t.Context(), cfg, testLogger()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return openLog(t, server.URL(), logConfig)
}
