package lake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// The properties of a table; the package documentation gives their meaning.
const (
	PropertyToken      = "blotter.token"
	PropertyGeneration = "blotter.generation"
	PropertyPublish    = "blotter.publish"
	PropertyKey        = "blotter.key"
	PropertyTombstones = "blotter.tombstones"
	PropertyTable      = "blotter.table"
	PropertySpec       = "blotter.spec"
	PropertyOrphans    = "blotter.orphans"
)

// The keys that snapshots carry in their summary, beside PropertyToken.
const (
	SummaryStrategy = "blotter.strategy"
	SummaryFiles    = "blotter.files"
	SummaryNamed    = "blotter.named" // as Result.Named: "true", else absent
	// SummarySetBackTo is as Result.SetBackTo, of fences of a table that was set back.
	SummarySetBackTo = "blotter.set_back_to"
)

// The strategies of a commit.
const (
	StrategyAppend      = "append"        // nothing was replaced
	StrategyRowDelta    = "row-delta"     // position deletes hide what was replaced
	StrategyCopyOnWrite = "copy-on-write" // files with replaced rows were rewritten
	StrategyReplace     = "replace"       // the whole table was replaced
	StrategyFence       = "fence"         // nothing was published under the token
)

// Result is what one commit did. It is kept in the table's properties until
// the next commit.
type Result struct {
	Token      uint64      `json:"token"`
	SnapshotID int64       `json:"snapshot_id"`
	TableRows  int64       `json:"table_rows"` // live rows after the commit
	Strategy   string      `json:"strategy"`
	Files      []FileCount `json:"files"` // in the order of the request
	// Named: the rows of the table that it met were named by position deletes of the
	// engine, not searched.
	Named bool `json:"named,omitempty"`
	// RowsHash is the RowsHash of the table's rows after the commit, in hex; empty where it
	// is not known: of rows that another engine, or a version without it, has changed
	// since all rows were last replaced. It lies here because every version writes this
	// anew: one that knows nothing of it leaves it out.
	RowsHash string `json:"rows_hash,omitempty"`
	// SetBackFrom: the commit met a table that did not carry this token, under which there
	// had been one. Commits keep it until all rows are replaced, or the loss is accepted; 0: the table is whole.
	SetBackFrom uint64 `json:"set_back_from,omitempty"`
	// SetBackTo is the token up to which it has all that was committed, where SetBackFrom
	// is set.
	SetBackTo uint64 `json:"set_back_to,omitempty"`
	// Maintained tells of a step of maintenance; nil for other commits.
	Maintained *Maintained `json:"maintained,omitempty"`
}

// Fenced reports that the commit fenced the token: nothing was published.
func (r Result) Fenced() bool { return r.Strategy == StrategyFence }

// FileCount accounts for one file of a commit.
type FileCount struct {
	FileID dms.FileID       `json:"file_id"`
	Counts transform.Counts `json:"counts"`
	// Staged is the token under which the file was staged: that of the commit, or a
	// lower one where a replacement folds the file in again. 0 in commits of
	// versions that did not keep it.
	Staged uint64 `json:"staged,omitempty"`
	// Superseded counts the staged rows and deletes of the file that a later
	// change of the same key overtakes: one of the table, or of another file of
	// the same commit.
	Superseded int64 `json:"superseded"`
	// Ties counts the changes of the file whose key had a change with the same commit
	// timestamp in the table or in another file of the same commit, so that the order
	// of the files decided. Those inside the file are Counts.AmbiguousTies.
	Ties int64 `json:"ties,omitempty"`
}

// Tombstone is one immutable file of remembered deletes.
type Tombstone struct {
	Key    string `json:"key"` // in the warehouse bucket
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Rows   int64  `json:"rows"`
	MinKey string `json:"min_key"` // encoded keys, in hex
	MaxKey string `json:"max_key"`
}

// tableState is what the properties of a table say.
type tableState struct {
	token      uint64
	last       Result
	tombstones []Tombstone
	key        string
	orphans    orphanRecord
	rowsHash   knownRows
}

// setBackFrom gives the token from which the table was set back before a turn, 0 if it was
// not, or the loss was accepted. What is lost after that word has a token above it.
func (s tableState) setBackFrom(tbl *table.Table, turn Turn) uint64 {
	from := s.last.SetBackFrom
	if s.rolledBack(tbl) {
		from = max(from, s.token)
	}
	if turn.Loss.To == 0 {
		if s.token < turn.After {
			from = max(from, turn.After)
		}
		return from
	}
	switch has := s.carries(tbl); {
	case turn.After > turn.Loss.To: // there were commits since
		if from <= turn.Loss.To {
			from = 0
		}
		if s.token < turn.After {
			from = max(from, turn.After)
		}
	case s.token <= turn.Loss.To && has != turn.Loss.From, has < turn.Loss.From:
		// It is not the table whose loss was accepted: it has lost more, or was put back.
		from = turn.Loss.To + 1
	case from <= turn.Loss.To:
		from = 0
	}
	return from
}

// carries gives the token up to which the table has all that was committed: where it was
// set back, fences that came after it are not counted. Where somebody has made another
// snapshot the current one, that tells.
func (s tableState) carries(tbl *table.Table) uint64 {
	if !s.rolledBack(tbl) {
		if s.last.SetBackFrom > 0 {
			return s.last.SetBackTo
		}
		return s.token
	}
	at := tbl.CurrentSnapshot()
	for range len(tbl.Metadata().Snapshots()) {
		if at == nil {
			break
		}
		if at.Summary != nil {
			token := cmp.Or(at.Summary.Properties[SummarySetBackTo], at.Summary.Properties[PropertyToken])
			if token, err := strconv.ParseUint(token, 10, 64); err == nil {
				return token
			}
		}
		if at.ParentSnapshotID == nil {
			break
		}
		at = tbl.SnapshotByID(*at.ParentSnapshotID)
	}
	return 0
}

// rolledBack reports whether somebody has made an older snapshot the current one, which
// leaves the properties as they are: going back from it, one of our own commits comes
// before the last of them. Where ancestors have expired, that cannot be told.
func (s tableState) rolledBack(tbl *table.Table) bool {
	if s.last.SnapshotID == 0 {
		return false
	}
	at := tbl.CurrentSnapshot()
	for range len(tbl.Metadata().Snapshots()) {
		if at == nil || at.SnapshotID == s.last.SnapshotID {
			return false
		}
		if at.Summary != nil && at.Summary.Properties[PropertyToken] != "" {
			return true
		}
		if at.ParentSnapshotID == nil {
			return false
		}
		at = tbl.SnapshotByID(*at.ParentSnapshotID)
	}
	return false
}

// follows fails with a *SetBackError unless the table carries every commit before a turn
// whose loss was not accepted.
func (s tableState) follows(tbl *table.Table, turn Turn) error {
	from, has := s.setBackFrom(tbl, turn), s.carries(tbl)
	switch {
	case from == 0:
		return nil
	case has > turn.Loss.From && turn.Loss.To > 0 && turn.After <= turn.Loss.To:
		return &SetBackError{has, fmt.Sprintf("it has what was committed up to token %d, and the loss of all above token %d was accepted: it was put back after that", has, turn.Loss.From)}
	case s.rolledBack(tbl):
		return &SetBackError{has, fmt.Sprintf("an older snapshot than that of token %d is its current one", s.token)}
	case s.token < from:
		return &SetBackError{has, fmt.Sprintf("it is at token %d, and a commit was made under token %d", s.token, turn.After)}
	}
	return &SetBackError{has, fmt.Sprintf("it lacks what was committed up to token %d", from)}
}

func readState(props iceberg.Properties) (tableState, error) {
	var s tableState
	var err error
	if v := props[PropertyToken]; v != "" {
		if s.token, err = strconv.ParseUint(v, 10, 64); err != nil {
			return s, fmt.Errorf("read property %s: %w", PropertyToken, err)
		}
	}
	if v := props[PropertyPublish]; v != "" {
		if err = json.Unmarshal([]byte(v), &s.last); err != nil {
			return s, fmt.Errorf("read property %s: %w", PropertyPublish, err)
		}
	}
	if v := props[PropertyTombstones]; v != "" {
		if err = json.Unmarshal([]byte(v), &s.tombstones); err != nil {
			return s, fmt.Errorf("read property %s: %w", PropertyTombstones, err)
		}
	}
	if v := props[PropertyOrphans]; v != "" {
		if err = json.Unmarshal([]byte(v), &s.orphans); err != nil {
			return s, fmt.Errorf("read property %s: %w", PropertyOrphans, err)
		}
	}
	if v := s.last.RowsHash; v != "" {
		if s.rowsHash.RowsHash, err = ParseRowsHash(v); err != nil {
			return s, fmt.Errorf("read property %s: %w", PropertyPublish, err)
		}
		s.rowsHash.known = true
	}
	s.key = props[PropertyKey]
	return s, nil
}

// rowsNow gives the hash of the rows of the table whose state this is. It is not known
// where another engine has committed since.
func (s tableState) rowsNow(tbl *table.Table) knownRows {
	rows, current := s.rowsHash, tbl.CurrentSnapshot()
	rows.known = rows.known && current != nil && current.Summary != nil &&
		current.Summary.Properties[PropertyToken] == strconv.FormatUint(s.token, 10)
	return rows
}

// stateProperties is the inverse of readState, for one commit.
func stateProperties(r Result, tombstones []Tombstone) (iceberg.Properties, error) {
	publish, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode property %s: %w", PropertyPublish, err)
	}
	if tombstones == nil {
		tombstones = []Tombstone{}
	}
	list, err := json.Marshal(tombstones)
	if err != nil {
		return nil, fmt.Errorf("encode property %s: %w", PropertyTombstones, err)
	}
	return iceberg.Properties{
		PropertyToken:      strconv.FormatUint(r.Token, 10),
		PropertyPublish:    string(publish),
		PropertyTombstones: string(list),
	}, nil
}

// keyProperty lists the field ids of the primary key.
func keyProperty(spec registry.Table) string {
	key := transform.KeyColumns(spec)
	ids := make([]string, len(key))
	for i, c := range key {
		ids[i] = strconv.Itoa(c.ID)
	}
	return strings.Join(ids, ",")
}
