package fsck

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Log is what a look needs of the event log. *eventlog.Log is one.
type Log interface {
	Read(ctx context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error]
	Bounds(ctx context.Context) (first, last uint64, err error)
	Archived(ctx context.Context) (uint64, error)
	Whole(ctx context.Context) error
}

// read reads all that there is; what lacks is told once, of the log as a whole.
func read(ctx context.Context, log Log, f eventlog.Filter, fold func(eventlog.Record)) error {
	for r, err := range log.Read(ctx, f) {
		if missing := new(eventlog.MissingError); errors.As(err, &missing) {
			return nil
		}
		if err != nil {
			return err
		}
		fold(r)
	}
	return nil
}

// attempt is one file under one token.
type attempt struct {
	file  dms.FileID
	token uint64
}

// facts is what the log tells of a table, as far as other things must agree with it.
type facts struct {
	events    int64
	granted   map[attempt]bool      // files that were to be staged under a token
	tokens    map[uint64]bool       // of all grants
	snapshots map[int64]bool        // that the curator told of
	published map[dms.FileID]uint64 // by the token under which each was last
	// inForce are the files of the last replacement, and those published after it.
	inForce      map[dms.FileID]bool
	newest       int64 // the newest snapshot, and its token
	newestOf     uint64
	newestCommit int64              // the snapshot of newestBy
	newestBy     uint64             // the newest token of a commit but fences: one that is lost took nothing with it
	losses       lockmanager.Losses // of commits, which were accepted
	rowsHash     string             // of the live rows after the newest publication; empty: not known
	versions     map[version]bool   // of objects that were told of
	arrived      map[dms.FileID]bool
	accepted     map[dms.FileID]bool
	again        []arrival       // of files that had arrived before
	said         map[string]bool // what the curator said of tokens
	released     []release
	objects      objectFacts
	files        map[dms.FileID]dms.File
	staged       map[dms.FileID]*blotterv1.StagedFile // under its newest token

	asked       map[uint64]*blotterv1.PublishRequested // that are not answered yet
	pauses      map[string]pause                       // by the event's id, that are not answered yet
	quarantined []quarantined
	rejected    []rejected
	keeping     map[attempt]*blotterv1.PublishRequested // of files with rejected rows

	publications publications
}

// release is a transaction that ended with something that the curator must have said.
type release struct {
	token uint64
	what  string
	seq   uint64
}

// arrival is the event of a file that arrived.
type arrival struct {
	file dms.FileID
	key  string
	seq  uint64
}

type pause struct {
	record eventlog.Record
	event  *blotterv1.TablePaused
}

type quarantined struct {
	event *blotterv1.FileQuarantined
	by    pause
}

type rejected struct {
	event *blotterv1.RowsRejected
	by    *blotterv1.PublishRequested // nil: not known
}

func readFacts(ctx context.Context, log Log, id dms.TableID) (*facts, error) {
	f := &facts{
		granted: map[attempt]bool{}, tokens: map[uint64]bool{}, snapshots: map[int64]bool{}, published: map[dms.FileID]uint64{},
		inForce: map[dms.FileID]bool{}, arrived: map[dms.FileID]bool{}, accepted: map[dms.FileID]bool{}, said: map[string]bool{},
		asked: map[uint64]*blotterv1.PublishRequested{}, pauses: map[string]pause{}, keeping: map[attempt]*blotterv1.PublishRequested{},
		versions: map[version]bool{}, objects: objectFacts{}, files: map[dms.FileID]dms.File{}, staged: map[dms.FileID]*blotterv1.StagedFile{},
	}
	err := read(ctx, log, eventlog.Filter{Table: id}, func(r eventlog.Record) {
		f.events++
		f.fold(r)
	})
	return f, err
}

// version names what an object held at one time.
type version struct{ key, etag string }

func versionOf(o *blotterv1.ObjectRef) version { return version{o.GetKey(), o.GetEtag()} }

// copies lists the copies of a quarantined file.
func (f *facts) copies(id dms.FileID) (keys []string) {
	for _, q := range f.quarantined {
		if dms.FileID(q.event.GetFileId()) == id && q.event.GetObjectKey() != "" {
			keys = append(keys, q.event.GetObjectKey())
		}
	}
	return keys
}

func (f *facts) fold(r eventlog.Record) {
	f.publications.fold(r)
	if r.Service == ingestrouter.ServiceName {
		f.objects.fold(r)
		if e, ok := r.Event.(interface{ GetObject() *blotterv1.ObjectRef }); ok {
			f.versions[versionOf(e.GetObject())] = true
		}
	}
	switch e := r.Event.(type) {
	case *blotterv1.ObjectArrived:
		id := dms.FileID(e.GetFileId())
		if f.arrived[id] {
			f.again = append(f.again, arrival{id, e.GetObject().GetKey(), r.Seq})
		}
		f.arrived[id] = true
	case *blotterv1.FileAccepted:
		f.accepted[dms.FileID(e.GetFile().GetFileId())] = true
		f.files[dms.FileID(e.GetFile().GetFileId())] = wire.FileOf(e.GetFile())
	case *blotterv1.FileStaged:
		f.staged[dms.FileID(e.GetStaged().GetFileId())] = e.GetStaged()
	case *blotterv1.LockGranted:
		f.tokens[e.GetToken()] = true
		for _, file := range e.GetFiles() {
			if e.GetTransform() {
				f.granted[attempt{dms.FileID(file.GetFileId()), e.GetToken()}] = true
			}
		}
	case *blotterv1.MaintenanceGranted:
		f.tokens[e.GetToken()] = true
	case *blotterv1.PublishRequested:
		f.asked[e.GetToken()] = e
		for _, p := range e.GetParts() {
			if p.GetStaged().GetCounts().GetRejected() > 0 {
				f.keeping[attempt{dms.FileID(p.GetStaged().GetFileId()), p.GetStaged().GetToken()}] = e
			}
		}
	case *blotterv1.LockReleased:
		if e.GetOutcome() == "published" || e.GetOutcome() == "maintained" {
			f.released = append(f.released, release{e.GetToken(), e.GetOutcome(), r.Seq})
		}
	case *blotterv1.LossAccepted:
		f.accept(e)
	case *blotterv1.TablePaused:
		if e.GetFailure() != nil && e.GetFile() != nil {
			f.pauses[r.Envelope.GetId()] = pause{r, e}
		}
	case *blotterv1.FileQuarantined:
		f.quarantined = append(f.quarantined, quarantined{e, f.pauses[r.Envelope.GetCause()]})
		delete(f.pauses, r.Envelope.GetCause())
	default:
		f.curator(r)
	}
}

// accept notes a loss, as the table's state does.
func (f *facts) accept(e *blotterv1.LossAccepted) {
	f.losses, f.rowsHash = f.losses.With(e.GetLakeToken(), e.GetToken()), ""
}

// lost counts the files whose rows were lost, which was accepted, and did not come again.
// Rows that were mended are open again once their file came.
func (f *facts) lost() (n int) {
	for id := range f.inForce {
		of := f.files[id].Mending.FileID
		if f.losses.Cover(f.published[id]) && (of == "" || f.published[of] < f.published[id]) {
			n++
		}
	}
	return n
}

// curator folds what the curator says of tokens.
func (f *facts) curator(r eventlog.Record) {
	switch e := r.Event.(type) {
	case *blotterv1.FilesPublished:
		if f.asked[e.GetToken()].GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE {
			clear(f.inForce)
			f.losses = nil
		}
		delete(f.asked, e.GetToken())
		for _, p := range e.GetFiles() {
			f.published[dms.FileID(p.GetFileId())], f.inForce[dms.FileID(p.GetFileId())] = e.GetToken(), true
		}
		f.rowsHash = e.GetRowsHash()
		f.commit("published", e.GetToken(), e.GetSnapshotId())
	case *blotterv1.GrantFenced:
		delete(f.asked, e.GetToken())
		f.commit(saidFenced, e.GetToken(), e.GetSnapshotId())
	case *blotterv1.TableMaintained:
		f.commit("maintained", e.GetToken(), e.GetSnapshotId())
	case *blotterv1.RowsRejected:
		var by *blotterv1.PublishRequested
		for a, asked := range f.keeping {
			if string(a.file) == e.GetFileId() && strings.Contains(e.GetReportKey(), fmt.Sprintf("/rejected-%d/", a.token)) {
				by = asked
			}
		}
		f.rejected = append(f.rejected, rejected{e, by})
	}
}

const saidFenced = "fenced"

func (f *facts) commit(what string, token uint64, snapshot int64) {
	f.said[saidKey(what, token)] = true
	if snapshot == 0 {
		return
	}
	f.snapshots[snapshot] = true
	if token >= f.newestOf {
		f.newest, f.newestOf = snapshot, token
	}
	if what != saidFenced && token >= f.newestBy {
		f.newestCommit, f.newestBy = snapshot, token
	}
}
