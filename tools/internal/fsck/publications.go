package fsck

import (
	"fmt"
	"maps"
	"slices"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// publications holds under which token each file was published, to tell which of them were
// published under two, and nobody asked for it.
type publications struct {
	by       map[dms.FileID]uint64
	replaces uint64 // the newest token of a replacement, which takes files in that were published
	twice    []publishedTwice
}

type publishedTwice struct {
	file          dms.FileID
	first, second uint64 // tokens
	seq           uint64
}

func (p *publications) fold(r eventlog.Record) {
	switch e := r.Event.(type) {
	case *blotterv1.PublishRequested:
		if e.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE {
			p.replaces = e.GetToken()
		}
	case *blotterv1.FilesPublished:
		if p.by == nil {
			p.by = map[dms.FileID]uint64{}
		}
		for _, f := range e.GetFiles() {
			id := dms.FileID(f.GetFileId())
			if first, there := p.by[id]; there && first != e.GetToken() && e.GetToken() != p.replaces {
				p.twice = append(p.twice, publishedTwice{id, first, e.GetToken(), r.Seq})
			}
			p.by[id] = e.GetToken()
		}
	case *blotterv1.FileRetried:
		delete(p.by, dms.FileID(e.GetFileId()))
	case *blotterv1.LossAccepted, *blotterv1.LoadReopened: // of the files of a load all are published once more
		clear(p.by)
	}
}

// newestToken is the newest token that was granted.
func (f *facts) newestToken() (newest uint64) {
	if len(f.tokens) > 0 {
		newest = slices.Max(slices.Collect(maps.Keys(f.tokens)))
	}
	return newest
}

// checkPublications: a published file is published once more only if an operator has it
// retried.
func (l *look) checkPublications() {
	for _, t := range l.facts.publications.twice {
		f := Finding{Kind: LogPublishedTwice, FileID: t.file, Object: fmt.Sprintf("event %d", t.seq), Note: !l.facts.inForce[t.file],
			Detail: fmt.Sprintf("the file was published under token %d and once more under token %d, and no operator asked for that: the control store told then that it still waited", t.first, t.second),
			Do: fmt.Sprintf("find out who altered or put back the control store; `blotter replay '%s' --rows` tells whether the rows are right all the same; "+
				"what was done stays in the log, and this finding until a full load replaces the rows", l.id)}
		l.add(f)
	}
}
