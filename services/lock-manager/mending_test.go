package lockmanager

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// mended declares a file with mended rows of another, which is staged.
func (sc *scenario) mended(args []string) {
	of, at, told := strings.Cut(args[1], "/")
	original := wire.FileOf(sc.file(of).ref)
	var token uint64
	if told {
		token = sc.number(at)
	} else if staged := sc.state.Files[original.ID].Staged; staged != nil {
		token = staged.Token
	}
	m := dms.Mending{FileID: original.ID, Kind: original.Kind, Order: original.Order, Token: token}
	if args[2] != "-" {
		m.Rows = dms.RowSet(args[2])
	}
	if len(args) > 3 {
		m.Dropped = dms.RowSet(args[3])
	}
	o := dms.Object{Bucket: "failed", Key: "rms/reports/" + args[0], Size: 100, LastModified: sc.now}
	id := dms.NewFileID(o, dms.KindChange)
	f := dms.File{ID: id, Object: o, Kind: dms.KindChange, Order: dms.MendedOrder(original.Order, id), Part: original.Part, Mending: m}
	sc.files.files[string(id)] = &rawFile{ref: wire.FileRef(f), name: args[0]}
}

// mending says which rows are mended.
func (w *world) mending(m *blotterv1.Mending) string {
	if m == nil {
		return ""
	}
	said := ", of " + w.name(m.GetFileId())
	if m.GetRows() != "" {
		said += " rows " + m.GetRows()
	}
	if m.GetDropped() != "" {
		said += ", dropped " + m.GetDropped()
	}
	return said
}

// named puts names of files in the place of their ids.
func (w *world) named(text string) string {
	for id, f := range w.files {
		text = strings.ReplaceAll(text, id, f.name)
	}
	return text
}

// hearsAnew has a process that has just started take an event.
func (b *shellBench) hearsAnew(e proto.Message) {
	b.t.Helper()
	s, _, _ := b.process()
	if err := s.handle(b.t.Context(), eventlog.Record{Table: testTable, Envelope: &blotterv1.Envelope{Id: "test"}, Event: e}); err != nil {
		b.t.Fatal(err)
	}
}

// state reads what the store holds of the table.
func (b *shellBench) state() *State {
	b.t.Helper()
	item, err := b.store.Table(b.t.Context(), testTable)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := DecodeState(item.State)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// stages ends the transform of the running grant's one file, some of its rows set
// aside; publishes also publishes what was asked for.
func (b *shellBench) stages(rejected int64) {
	b.t.Helper()
	g := b.state().Grant
	for _, id := range g.Files {
		b.hearsAnew(&blotterv1.FileTransformed{Staged: &blotterv1.StagedFile{
			FileId: string(id), Token: g.Token, ManifestKey: "manifest.json",
			Counts: &blotterv1.RowCounts{RowsRead: 2 + rejected, Inserts: 2, Rejected: rejected},
		}})
	}
}

// publishes answers the newest request; it gives the files that it named.
func (b *shellBench) publishes() []dms.FileID {
	b.t.Helper()
	requests := eventlogtest.Read(b.t, b.log, eventlog.Filter{Table: testTable, Event: "PublishRequested"})
	request := requests[len(requests)-1].Event.(*blotterv1.PublishRequested)
	published := &blotterv1.FilesPublished{Token: request.GetToken(), TableRows: 2}
	var ids []dms.FileID
	for _, p := range request.GetParts() {
		ids = append(ids, dms.FileID(p.GetFile().GetFileId()))
		published.Files = append(published.Files, &blotterv1.PublishedFile{FileId: p.GetFile().GetFileId(), Counts: p.GetStaged().GetCounts()})
	}
	b.hearsAnew(published)
	return ids
}

// mended makes a mended file of a published one.
func (b *shellBench) mended(name string, of *blotterv1.FileClassified, rows dms.RowSet) *blotterv1.FileClassified {
	b.t.Helper()
	f := wire.FileOf(of.GetFile())
	row, err := b.store.File(b.t.Context(), testTable, f.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	stored, err := DecodeFile(row.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	o := dms.Object{Bucket: "failed", Key: name, ETag: "1", Size: 1, LastModified: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)}
	id := dms.NewFileID(o, dms.KindChange)
	return &blotterv1.FileClassified{SpecVersion: 1, File: wire.FileRef(dms.File{
		ID: id, Object: o, Kind: dms.KindChange, Order: dms.MendedOrder(f.Order, id),
		Mending: dms.Mending{FileID: f.ID, Kind: f.Kind, Order: f.Order, Token: stored.Staged.Token, Rows: rows},
	})}
}

// TestMendedRowsAreJudgedByHistory: what was published and mended long ago is not
// in memory, and decides all the same; a crash in between says nothing twice.
func TestMendedRowsAreJudgedByHistory(t *testing.T) {
	b := newShellBench(t)
	s, _, _ := b.process()
	b.execute(s, "apply", applyRequest(t, "1"))
	file := b.classified("20240304-060000000.csv")
	b.hearsAnew(file)
	b.stages(3)
	b.publishes()
	first := b.mended("m1", file, "2")
	dies, before, _ := b.process()
	before.Store(true)
	record := eventlog.Record{Table: testTable, Envelope: &blotterv1.Envelope{Id: "m1"}, Event: first}
	if err := dies.handle(t.Context(), record); !errors.Is(err, errOutOfLife) {
		t.Fatalf("the file is taken with %v", err)
	}
	b.hearsAnew(first)
	b.stages(0)
	b.publishes()
	b.hearsAnew(first)
	b.hearsAnew(b.mended("m2", file, "2-3"))
	if n := b.counts(); n["FileAccepted"] != 3 || n["FileIgnored"] != 1 || n["LockGranted"] != 2 {
		t.Errorf("the log says %v", n)
	}
	b.hearsAnew(b.mended("m3", file, "3-4"))
	b.stages(0)
	b.publishes()
	if st := b.state(); st.Rejected != 0 || st.Grant != nil {
		t.Errorf("%d rows are set aside still, %+v is granted", st.Rejected, st.Grant)
	}
}

// TestMendedRowsOfALoadAreFoldedIn: the load is opened again for a late file, by a
// process that has seen none of it.
func TestMendedRowsOfALoadAreFoldedIn(t *testing.T) {
	b := newShellBench(t)
	s, _, _ := b.process()
	b.execute(s, "apply", applyRequest(t, "1"))
	load := b.classified("LOAD00000001.csv")
	b.hearsAnew(load)
	b.stages(2)
	b.hearsAnew(&blotterv1.ListingClassified{ListingId: "1", Complete: true})
	b.publishes()
	m := b.mended("m1", load, "2")
	b.hearsAnew(m)
	b.stages(0)
	b.publishes()
	late := b.classified("LOAD00000002.csv")
	b.hearsAnew(late)
	for i, name := range []string{"load-reopen", "load-complete"} {
		s, _, _ := b.process()
		if reply := b.execute(s, name, CommandRequest{ID: "load" + string(rune('0'+i)), Actor: "operator:test", Table: testTable.String()}); reply.Refused != "" {
			t.Fatal(reply.Refused)
		}
	}
	b.stages(0)
	want := []dms.FileID{dms.FileID(load.GetFile().GetFileId()), dms.FileID(late.GetFile().GetFileId()), dms.FileID(m.GetFile().GetFileId())}
	if got := b.publishes(); len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("the replacement is of %v, expected %v", got, want)
	}
	if st := b.state(); st.Rejected != 1 || st.Generation != 1 || st.Load != nil {
		t.Errorf("the state is %+v", st)
	}
}

// mend has the operator mend all rows that a published file was published without.
func (w *world) mend(id string) {
	f, have := w.files[id], w.folded.Files[dms.FileID(id)]
	if f == nil || len(f.aside) == 0 || have == nil {
		return
	}
	o := dms.Object{Bucket: "failed", Key: fmt.Sprintf("%s/%d", id, have.Staged.Token), Size: 100, LastModified: w.now}
	mended := dms.NewFileID(o, dms.KindChange)
	if w.files[string(mended)] != nil {
		return
	}
	m := dms.Mending{FileID: f.id(), Kind: have.Kind, Order: have.Order, Token: have.Staged.Token}
	for i := range f.aside {
		m.Rows = m.Rows.With(dms.RowSet(strconv.Itoa(100 + i)))
	}
	file := dms.File{ID: mended, Object: o, Kind: dms.KindChange, Order: dms.MendedOrder(have.Order, mended), Part: have.Part, Mending: m}
	w.files[string(mended)] = &rawFile{ref: wire.FileRef(file), name: fmt.Sprintf("%s mended %d", f.name, have.Staged.Token), ops: f.aside, mends: f}
	w.send(w.files[string(mended)].classified())
}

// sharesFate reports whether the file that mended rows belong to goes into a
// replacement, in the staging that they were set aside of.
func (w *world) sharesFate(m *rawFile) bool {
	of := w.folded.Files[m.mends.id()]
	if of.Staged == nil || of.Staged.Token != m.ref.GetMending().GetToken() {
		return false
	}
	w.saw("mended rows folded into a replacement")
	if m.mends.isLoad() {
		return of.Status != Skipped && of.Status != Ignored
	}
	return of.Status == Published
}

// checkMended holds the end of a mended file against the lake, and tells whether
// its rows count: it is in the lake as long as its own file is, or it was refused
// or superseded for a reason.
func (w *world) checkMended(f *rawFile, now seal, loaded bool) (counts bool) {
	st, of := w.status(string(f.id())), w.folded.Files[f.mends.id()]
	inLake := false
	for _, c := range w.lake.commits {
		if c.replace {
			inLake = false
		}
		inLake = inLake || slices.Contains(c.files, string(f.id()))
	}
	same := of.Status == Published && of.Staged.Token == f.ref.GetMending().GetToken()
	belongs := !loaded || w.bound(f, now)
	w.saw(fmt.Sprintf("mended rows: %s, of the file in force %t", st, same && belongs))
	if (st == Published && inLake) != (same && belongs) && st != Skipped && !(st == Ignored && w.refused[string(f.id())]) {
		w.problem("mended rows %s end %q, in the lake %t, their file %q, the same staging %t, bound %t", f.name, st, inLake, of.Status, same, belongs)
	}
	return inLake
}

// checkAside: what is set aside of the table is what its files are without.
func (w *world) checkAside(effective []*rawFile) {
	var want int64
	for _, f := range effective {
		want += f.rejected
		if f.mends != nil {
			want -= int64(len(f.ops))
		}
	}
	if w.folded.Rejected != want {
		w.problem("%d rows are set aside, expected %d", w.folded.Rejected, want)
	}
}

// TestModelOfMendedRows: whatever happens to files and their mended rows, these
// share the fate of their file, and come at their own place in the order.
func TestModelOfMendedRows(t *testing.T) {
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range 8 {
		t.Run("", rapid.MakeCheck(func(t *rapid.T) {
			files := drawFiles(t)
			for _, f := range files {
				if n := len(f.ops); n > 1 && rapid.Bool().Draw(t, "bad rows") {
					f.ops, f.aside, f.rejected = f.ops[:n/2], f.ops[n/2:], int64(n-n/2)
				}
			}
			newWorld(eagerConfig(2), seen, files...).play(t)
		}))
	}
	for _, counter := range []string{
		"mended rows: published, of the file in force true", "mended rows: ignored, of the file in force false",
		"mended rows folded into a replacement", "superseded change file",
	} {
		if seen[counter] == 0 && !t.Failed() {
			t.Errorf("never reached: %s", counter)
		}
	}
	if testing.Verbose() {
		for _, counter := range slices.Sorted(maps.Keys(seen)) {
			t.Logf("%7d %s", seen[counter], counter)
		}
	}
}
