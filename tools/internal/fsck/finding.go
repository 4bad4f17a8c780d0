package fsck

import (
	"context"

	"github.com/openblotter/blotter/pkg/dms"
)

// The kinds of findings.
const (
	LogBroken           = "log.broken"            // events of lock-manager are missing or stand there twice
	LogEventMissing     = "log.event_missing"     // an event that another one answers is not there
	LogEventsGone       = "log.events_gone"       // events are in neither the log nor its archive
	LogEventTwice       = "log.event_twice"       // note: an object was told of as new a second time
	LogPublishedTwice   = "log.published_twice"   // a file was published twice, and nobody asked for it; note: in a generation that was replaced
	LogBehind           = "log.behind_archive"    // the log ends before its archive does
	LogTrimUntold       = "log.trim_untold"       // the log begins later than it says itself
	ArchiveTaken        = "archive.taken"         // the archive, or the end of it, was taken away
	ArchiveUnproven     = "archive.unproven"      // what was kept of the archive cannot be checked
	ArchiveChanged      = "archive.changed"       // the archive is not as it was signed
	ControlDiffers      = "control.differs"       // the log does not fold to the control state
	ControlUnreadable   = "control.unreadable"    // a value in the control store cannot be understood
	ControlUnfinished   = "control.unfinished"    // the control store was to be written anew, which did not end
	HoldDiffers         = "hold.differs"          // the hold queue is not what the control state says
	FileStuck           = "file.stuck"            // a file waits that nothing will release
	StagedUnknown       = "staged.unknown"        // staged output that no grant asked for
	LakeUnreadable      = "lake.unreadable"       // the table's metadata cannot be read
	LakeObjectGone      = "lake.object_gone"      // an object that the table names is gone
	LakeObjectChanged   = "lake.object_changed"   // remembered deletes are not those that the table tells of
	SnapshotUnknown     = "lake.snapshot_unknown" // a snapshot that no event tells of
	SnapshotLost        = "lake.commit_lost"      // the newest commit that the log tells of is not in the table
	LakePutBack         = "lake.put_back"         // the table has more than when the loss of it was accepted
	LossAccepted        = "lake.loss_accepted"    // note: an operator accepted that commits are not in the table
	RowsUnknown         = "lake.rows_unknown"     // rows of a file that was not published
	RowsDiffer          = "lake.rows_differ"      // the live rows are not those that the log has a hash of
	FailedCopyGone      = "failed.copy_missing"   // the copy or the report of a quarantined file is gone
	RejectedCopyGone    = "failed.rows_missing"   // the rows that were set aside, or their report, are gone
	RejectedCopyChanged = "failed.rows_changed"   // the rows that were set aside are not those that were staged, or their report tells of others
	ArchiveNone         = "archive.none"          // note: the log is not archived, or no longer
	RawGone             = "raw.gone"              // a raw version that is still to be read is gone; note: one that was published
	RawChanged          = "raw.changed"           // a raw version has other bytes than when it was staged
	StagedGone          = "staged.gone"           // staged output that waits to be published is gone
	StagedChanged       = "staged.changed"        // staged output is not what was staged
	FailedCopyChanged   = "failed.copy_changed"   // the copy of a quarantined file is not its raw version, or its report not what the log says
	StagedLeft          = "staged.left"           // note: output of grants that ended otherwise
	LakeOrphans         = "lake.orphans"          // note: objects that nothing refers to, and that maintenance removes
	LoadWaits           = "load.waits"            // note: a load that only an operator seals
	TableBusy           = "table.busy"            // note: it changed each time it was looked at
	maxListed           = 1000
)

// Finding is one thing that does not agree, or a note.
type Finding struct {
	Kind   string      `json:"kind"`
	Table  dms.TableID `json:"table"`
	FileID dms.FileID  `json:"file_id,omitempty"`
	// Object is the key of an object in its bucket, or the id of a snapshot.
	Object string `json:"object,omitempty"`
	Detail string `json:"detail"`
	// Do says what to do about it.
	Do   string `json:"do"`
	Note bool   `json:"note,omitempty"`
	// Repairable: --repair mends it. Repaired and Failed tell that it was tried.
	Repairable bool   `json:"repairable,omitempty"`
	Repaired   bool   `json:"repaired,omitempty"`
	Failed     string `json:"failed,omitempty"`

	repair func(ctx context.Context) (done string, err error)
}

// Report is what a look came to.
type Report struct {
	Tables   int        `json:"tables"`
	Events   int64      `json:"events"`
	Findings []*Finding `json:"findings"`
	// More counts the findings of a kind beyond the first of its table that are listed.
	More map[string]int `json:"more,omitempty"`
	// Refused says why nothing was repaired, although it was asked for.
	Refused string `json:"refused,omitempty"`
}

// Left counts the findings that are not repaired; notes are none.
func (r *Report) Left() int {
	n := 0
	for _, f := range r.Findings {
		if !f.Note && !f.Repaired {
			n++
		}
	}
	for _, more := range r.More {
		n += more
	}
	return n
}
