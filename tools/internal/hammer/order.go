package hammer

import (
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// lockRules follows one table through its log: what may be granted and published.
// It knows nothing of why anything was decided.
type lockRules struct {
	violate func(format string, args ...any)
	table   dms.TableID
	newest  uint64 // the newest token
	granted uint64 // the token that is granted now; 0: none
	paused  bool
	loading bool
	replace map[uint64]bool // of a token: it replaces the table
	ended   map[uint64]string
	waiting map[string]string // change files that wait: their order
}

// checkOrder: one transaction at a time, under tokens that grow; nothing is granted
// while the table is paused; no change is published while it loads; files that wait
// are granted lowest position first; a token that was fenced publishes nothing.
func (w *world) checkOrder(table dms.TableID, records []eventlog.Record) {
	l := &lockRules{
		violate: w.violate, table: table, replace: map[uint64]bool{}, ended: map[uint64]string{}, waiting: map[string]string{},
	}
	for _, r := range records {
		l.files(r)
		l.lock(r)
		l.commit(r)
		switch e := r.Event.(type) {
		case *blotterv1.FenceRequested:
			w.report.Fences[e.GetReason()]++
		case *blotterv1.TablePaused:
			w.report.Pauses[e.GetReason()]++
		case *blotterv1.FileAccepted:
			if e.GetLate() {
				w.report.Late++
			}
		}
	}
	if l.granted != 0 || l.paused || l.loading {
		w.violate("%s is not at rest: granted token %d, paused %t, loading %t", table, l.granted, l.paused, l.loading)
	}
}

// files follows which change files wait.
func (l *lockRules) files(r eventlog.Record) {
	switch e := r.Event.(type) {
	case *blotterv1.FileAccepted:
		if f := e.GetFile(); f.GetKind() != blotterv1.FileKind_FILE_KIND_LOAD {
			l.waiting[f.GetFileId()] = f.GetOrder()
		}
	case *blotterv1.FileIgnored:
		delete(l.waiting, e.GetFileId())
	case *blotterv1.FileSkipped:
		delete(l.waiting, e.GetFileId())
	case *blotterv1.TablePaused:
		if e.GetReason() == "failure" {
			delete(l.waiting, e.GetFile().GetFileId()) // quarantined
		}
	}
}

func (l *lockRules) lock(r eventlog.Record) {
	switch e := r.Event.(type) {
	case *blotterv1.LockGranted:
		l.grant(r.Seq, e.GetToken())
		l.lowestFirst(r.Seq, e)
	case *blotterv1.MaintenanceGranted:
		l.grant(r.Seq, e.GetToken())
	case *blotterv1.LockReleased:
		if e.GetToken() != l.granted {
			l.violate("%s: at %d token %d is released, %d is granted", l.table, r.Seq, e.GetToken(), l.granted)
		}
		l.granted = 0
		l.ended[e.GetToken()] = e.GetOutcome()
		if e.GetOutcome() == "published" && l.replace[e.GetToken()] {
			l.loading = false
		}
	case *blotterv1.TablePaused:
		l.paused = true
	case *blotterv1.TableResumed:
		l.paused = false
	case *blotterv1.LoadOpened, *blotterv1.LoadReopened:
		l.loading = true
	case *blotterv1.LoadAbandoned:
		l.loading = false
	}
}

func (l *lockRules) grant(seq, token uint64) {
	if token <= l.newest {
		l.violate("%s: at %d token %d is granted after %d", l.table, seq, token, l.newest)
	}
	if l.granted != 0 {
		l.violate("%s: at %d token %d is granted while %d is", l.table, seq, token, l.granted)
	}
	if l.paused {
		l.violate("%s: at %d token %d is granted while the table is paused", l.table, seq, token)
	}
	l.newest, l.granted = token, token
}

// lowestFirst: no change file that waits comes before one that is granted.
func (l *lockRules) lowestFirst(seq uint64, e *blotterv1.LockGranted) {
	highest := ""
	for _, f := range e.GetFiles() {
		if order, waits := l.waiting[f.GetFileId()]; waits {
			highest = max(highest, order)
			delete(l.waiting, f.GetFileId())
		}
	}
	for id, order := range l.waiting {
		if order < highest {
			l.violate("%s: at %d token %d is granted before file %s, which waits and comes first", l.table, seq, e.GetToken(), id)
		}
	}
}

func (l *lockRules) commit(r eventlog.Record) {
	switch e := r.Event.(type) {
	case *blotterv1.PublishRequested:
		l.replace[e.GetToken()] = e.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE
		if l.loading && !l.replace[e.GetToken()] {
			l.violate("%s: at %d changes are to be published while the table loads", l.table, r.Seq)
		}
	case *blotterv1.GrantFenced:
		l.end(r.Seq, e.GetToken(), "fenced")
	case *blotterv1.FilesPublished:
		l.end(r.Seq, e.GetToken(), "published")
	}
}

// end: what the lake said of a token is final.
func (l *lockRules) end(seq, token uint64, how string) {
	if token > l.newest {
		l.violate("%s: at %d token %d is %s, which was never granted", l.table, seq, token, how)
	}
	if before, ok := l.ended[token]; ok && before != how {
		l.violate("%s: at %d token %d is %s after it was %s", l.table, seq, token, how, before)
	}
	l.ended[token] = how
}
