package lockmanager

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Status is how far a file is.
type Status string

// The statuses of a file. Published, split, ignored and skipped are ends; a
// quarantined file waits for an operator. Deleted is the status of no file: it
// marks the record of one deletion of a raw object, by which it is known again.
const (
	Waiting     Status = "waiting"
	Granted     Status = "granted"
	Staged      Status = "staged" // a load file whose load is not yet published
	Published   Status = "published"
	Split       Status = "split" // a transaction file whose parts go their tables' ways
	Quarantined Status = "quarantined"
	Ignored     Status = "ignored"
	Skipped     Status = "skipped"
	Deleted     Status = "deleted"
)

// State is the control state of one table: the fold of its lock-manager events.
type State struct {
	Table       dms.TableID      `json:"table"`
	SpecVersion uint64           `json:"spec_version"`
	SpecSHA256  string           `json:"spec_sha256"`
	Engine      blotterv1.Engine `json:"engine"`
	QuietPeriod time.Duration    `json:"quiet_period"`
	// GlueJob: the registration names a job of Glue, whose runs take all files of a grant.
	GlueJob bool `json:"glue_job,omitempty"`
	// Auto: the engine of a transaction is chosen by the size of its files, of which a row
	// is taken to have RowBytes; 0 where the registration does not say route: auto.
	Auto     bool  `json:"auto,omitempty"`
	RowBytes int64 `json:"row_bytes,omitempty"`
	// Token is the newest token ever granted, Committed the newest under which the lake
	// took a publication or a step of maintenance: the table there cannot be behind it.
	Token     uint64 `json:"token"`
	Committed uint64 `json:"committed,omitempty"`
	// Losses are what the lake has lost, and an operator accepted; until all rows are replaced.
	Losses Losses `json:"losses,omitempty"`
	// Generation counts the full loads that replaced the table; 0 before the first.
	Generation uint64 `json:"generation"`
	// FirstModified is when the generation's first load file was modified.
	FirstModified time.Time `json:"first_modified"`
	// LeavesOlder: an operator had the first generation leave out the change files
	// that are older than it. Any later one does by itself.
	LeavesOlder bool `json:"leaves_older,omitempty"`
	// Rows counts the table's live rows after the last commit.
	Rows int64 `json:"rows"`
	// Rejected counts the rows of published files that were set aside. A replacement
	// counts those of its own files only.
	Rejected int64 `json:"rejected,omitempty"`
	// Deleted counts the raw objects deleted by request since the last resume.
	Deleted       int64        `json:"deleted,omitempty"`
	Grant         *Grant       `json:"grant,omitempty"`
	Load          *Load        `json:"load,omitempty"` // nil: the table streams
	Pause         *PauseRecord `json:"pause,omitempty"`
	Maintenance   Maintenance  `json:"maintenance,omitzero"`
	LastProcessed *FileEvent   `json:"last_processed,omitempty"`
	LastFailed    *FileEvent   `json:"last_failed,omitempty"`
	// Answered holds the newest commands and signals, oldest first, so that one sent
	// twice is carried out once.
	Answered []Answer `json:"answered,omitempty"`

	// Files holds the files that a decision may need; they are stored beside the
	// state, one row each.
	Files map[dms.FileID]*File `json:"-"`

	changed map[dms.FileID]struct{}
}

// File is one file of the table.
type File struct {
	ID     dms.FileID    `json:"id"`
	Object dms.Object    `json:"object"`
	Kind   dms.FileKind  `json:"kind"`
	Order  dms.FileOrder `json:"order"`
	// Part is set for the rows of this table in a transaction file.
	Part dms.Part `json:"part,omitzero"`
	// Mending is set for rows that an operator mended, Mended names the files with
	// mended rows of this one, without those that were refused.
	Mending dms.Mending  `json:"mending,omitzero"`
	Mended  []dms.FileID `json:"mended,omitempty"`
	Status  Status       `json:"status"`
	// Held: the file stands in the hold queue.
	Held bool `json:"held,omitempty"`
	// Late: a load file that came after its load was sealed.
	Late bool `json:"late,omitempty"`
	// Superseded: a load file of a generation that a newer one replaced unpublished,
	// or mended rows of a file that was read anew or skipped.
	Superseded bool `json:"superseded,omitempty"`
	// Rejoins: a load file that an operator put into the load before it, from which the
	// versions of its key were given up.
	Rejoins bool `json:"rejoins,omitempty"`
	// Replaced: it was given up, and one that rejoined the load came in its place.
	Replaced bool `json:"replaced,omitempty"`
	// Abandoned: an operator skipped it, and its load came to nothing.
	Abandoned bool `json:"abandoned,omitempty"`
	// Generation is the one that published the file, or went on without it.
	Generation uint64               `json:"generation,omitempty"`
	Token      uint64               `json:"token,omitempty"` // of its newest grant
	Attempts   int                  `json:"attempts,omitempty"`
	Expired    int                  `json:"expired,omitempty"`  // grants that ran out of time
	Suspect    bool                 `json:"suspect,omitempty"`  // a grant failed over it, and it is to be granted by itself
	Outgrown   bool                 `json:"outgrown,omitempty"` // Lambda had not the time or the memory for it
	Staged     *StagedFile          `json:"staged,omitempty"`
	Counts     *blotterv1.RowCounts `json:"counts,omitempty"`
	Failure    *blotterv1.Failure   `json:"failure,omitempty"`
	Reason     string               `json:"reason,omitempty"` // of an ignored file
	// Parts are those of a transaction file that was split.
	Parts    []dms.TransactionPart `json:"parts,omitempty"`
	Accepted time.Time             `json:"accepted"`
	Ended    time.Time             `json:"ended,omitzero"`
}

// StagedFile is where a file's staged output lies.
type StagedFile struct {
	Token          uint64               `json:"token"`
	ManifestKey    string               `json:"manifest_key"`
	ManifestSHA256 string               `json:"manifest_sha256"`
	InputSHA256    string               `json:"input_sha256,omitempty"` // of the raw object
	Counts         *blotterv1.RowCounts `json:"counts"`
}

// Grant is the one transaction that runs.
type Grant struct {
	Token    uint64       `json:"token"`
	Files    []dms.FileID `json:"files"`
	Deadline time.Time    `json:"deadline"`
	Publish  bool         `json:"publish"`
	// Engine transforms its files; unspecified where nothing does. Granted is when, and
	// under which registration; zero in a grant of an older version.
	Engine      blotterv1.Engine `json:"engine,omitempty"`
	SpecVersion uint64           `json:"spec_version,omitempty"`
	Granted     time.Time        `json:"granted,omitzero"`
	// Publishing: the curator was asked to publish.
	Publishing bool `json:"publishing,omitempty"`
	Replace    bool `json:"replace,omitempty"`
	// Maintenance: a step of it, without files.
	Maintenance bool `json:"maintenance,omitempty"`
	// Fencing says why the grant ends otherwise; empty while it runs.
	Fencing string `json:"fencing,omitempty"`
}

// Load is a full load between its opening and its replacement.
type Load struct {
	// Base counts the generations before those that this load's files make.
	Base     uint64    `json:"base"`
	Opened   time.Time `json:"opened"`
	LastFile time.Time `json:"last_file"` // when the last load file was accepted
	Sealed   bool      `json:"sealed,omitempty"`
	// ConfirmedFor names what an operator has accepted, by HeldReason; Confirmed: all.
	Confirmed    bool     `json:"confirmed,omitempty"`
	ConfirmedFor []string `json:"confirmed_for,omitempty"`
	HeldReason   string   `json:"held_reason,omitempty"` // "gap", "older", "part", "mixed", "divided", "same" or "shrunk"
	HeldDetail   string   `json:"held_detail,omitempty"`
	Expired      int      `json:"expired,omitempty"` // replacements that ran out of time
	// Generation, Files and FirstModified are final once the load is sealed. A
	// load that was reopened keeps FirstModified for the earliest that it can get:
	// a late load file does not change what was decided about change files.
	Generation    uint64       `json:"generation,omitempty"`
	Files         []dms.FileID `json:"files,omitempty"`
	Replaced      []dms.FileID `json:"replaced,omitempty"` // in whose place a file of Files came
	FirstModified time.Time    `json:"first_modified,omitzero"`
	// LeavesOlder, as in State, once this load is published.
	LeavesOlder bool `json:"leaves_older,omitempty"`
}

// PauseRecord says why nothing is granted.
type PauseRecord struct {
	Reason string     `json:"reason"`
	Detail string     `json:"detail,omitempty"`
	FileID dms.FileID `json:"file_id,omitempty"`
	Since  time.Time  `json:"since"`
}

// FileEvent is when something happened to which file.
type FileEvent struct {
	FileID dms.FileID `json:"file_id"`
	Key    string     `json:"key"`
	Time   time.Time  `json:"time"`
	Code   string     `json:"code,omitempty"`
	Detail string     `json:"detail,omitempty"`
	// LakeToken is how far a table has what was committed that was set back.
	LakeToken uint64 `json:"lake_token,omitempty"`
}

// Answer is a command that was carried out, and what it was told; or a signal.
type Answer struct {
	CommandID string `json:"command_id"` // or that of the signal
	Detail    string `json:"detail"`
}

// NewState is the state of a table of which nothing is known yet.
func NewState(table dms.TableID) *State {
	return &State{Table: table, Files: map[dms.FileID]*File{}}
}

// Registered reports whether a registration is in force.
func (s *State) Registered() bool { return s.SpecVersion > 0 }

// Flag is what operators see: P while paused, else L, G or auto.
func (s *State) Flag() string {
	switch {
	case s.Pause != nil:
		return "P"
	case s.Auto:
		return registry.RouteAuto
	case s.Engine == blotterv1.Engine_ENGINE_GLUE:
		return "G"
	}
	return "L"
}

// Phase is "loading" from a load's opening to its replacement, else "streaming".
func (s *State) Phase() string {
	if s.Load != nil {
		return "loading"
	}
	return "streaming"
}

// files gives the files that keep asks for, lowest order first.
func (s *State) files(keep func(*File) bool) []*File {
	var out []*File
	for _, f := range s.Files {
		if keep(f) {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, compareFiles)
	return out
}

func compareFiles(a, b *File) int {
	if c := strings.Compare(string(a.Order), string(b.Order)); c != 0 {
		return c
	}
	return strings.Compare(string(a.ID), string(b.ID))
}

// takesAll reports whether a generation is the first: then every change file
// belongs to it, however old.
func takesAll(generation uint64) bool { return generation <= 1 }

// Live reports whether a later decision may need the file: one that has not
// ended, or that the running grant names, or a load file of the open load or of
// the generation in force, given up or not: its key tells a repeated LOAD key
// from a late load file.
func (s *State) Live(f *File) bool {
	if s.inGrant(f) {
		return true
	}
	switch f.Status {
	case Waiting, Granted, Staged, Quarantined:
		return true
	case Published:
		return f.Kind == dms.KindLoad && f.Generation == s.Generation
	case Skipped, Ignored:
		return givenUp(f) && (f.Generation == 0 || f.Generation == s.sealedGeneration() || f.Generation == s.Generation)
	}
	return false
}

// InForce reports whether a file that was skipped is a gap in the table as it is: not
// once a full load has replaced the generation that it belonged to, or it was mended
// there. What belongs to a
// load that was abandoned is one until a load that began later is published.
func (s *State) InForce(f *File) bool {
	switch f.Kind {
	case dms.KindLoad:
		if f.Abandoned {
			return s.Generation == 0 || f.Object.LastModified.After(s.FirstModified)
		}
		return !f.Superseded && !f.Replaced && (f.Generation == 0 || f.Generation == s.Generation)
	case dms.KindChange:
		return !s.replaced(f)
	}
	return true
}

// inGrant reports whether the running grant names the file. What becomes of one
// that an operator retried or skipped meanwhile is known when the grant is over.
func (s *State) inGrant(f *File) bool {
	return s.Grant != nil && slices.Contains(s.Grant.Files, f.ID)
}

// TakeChanged gives the files that were changed since it was last called, by
// order.
func (s *State) TakeChanged() []*File {
	out := s.files(func(f *File) bool { _, ok := s.changed[f.ID]; return ok })
	s.changed = nil
	return out
}

// touch notes that a file's row must be written.
func (s *State) touch(f *File) *File {
	if s.changed == nil {
		s.changed = map[dms.FileID]struct{}{}
	}
	s.changed[f.ID] = struct{}{}
	return f
}

// Encode gives the state, its files apart, as the control store keeps it.
func (s *State) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the state of %s: %w", s.Table, err)
	}
	return b, nil
}

// DecodeState reads what Encode wrote; Files is empty, not nil.
func DecodeState(b []byte) (*State, error) {
	s := &State{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("decode the state of a table: %w", err)
	}
	s.Files = map[dms.FileID]*File{}
	return s, nil
}
