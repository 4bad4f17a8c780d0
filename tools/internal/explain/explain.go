package explain

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// What came of a change.
const (
	Holds       = "holds"       // it is what the table has
	Removed     = "removed"     // it removed the row, and nothing later brought it back
	Overtaken   = "overtaken"   // a later change took its place
	Late        = "late"        // it came when a later change was published already, and changed nothing
	Replaced    = "replaced"    // a full load replaced the table
	Superseded  = "superseded"  // its file was never published, since a newer load took its place
	Unpublished = "unpublished" // its file is not published
)

// Touch is one change of the row's key.
type Touch struct {
	FileID dms.FileID `json:"file_id"`
	Key    string     `json:"key"` // of the raw object
	Kind   string     `json:"kind"`
	Row    int64      `json:"row"`
	// Op is I, U or D; "moved away" for an update that gave the row another key. Where only
	// the staged output of the file tells, it is "I or U", or "D or moved away".
	Op       string       `json:"op"`
	Position dms.Position `json:"position"`
	// Committed is when the change was committed at the source, as far as its position
	// tells.
	Committed time.Time `json:"committed,omitzero"`
	Published time.Time `json:"published,omitzero"`
	Token     uint64    `json:"token,omitempty"`
	Snapshot  int64     `json:"snapshot,omitempty"`
	Fate      string    `json:"fate"`
	// By is the change that overtook it, the publication that replaced it, or why its
	// file is not published.
	By string `json:"by,omitempty"`
	// MendedOf is the file that the row belongs to where an operator mended it.
	MendedOf dms.FileID              `json:"mended_of,omitempty"`
	Values   map[string]*string      `json:"values,omitempty"`
	values   []transform.ChangeValue // in the order of the table
	file     *file
}

// ShownValues gives the values in the order of the table; none unless asked for.
func (t *Touch) ShownValues() []transform.ChangeValue { return t.values }

// Unread is a file that may have changed the row, and could not be read.
type Unread struct {
	FileID dms.FileID `json:"file_id"`
	Key    string     `json:"key"`
	Status string     `json:"status"`
	Reason string     `json:"reason"`
	// Staged: its staged output tells the last change of the row in it.
	Staged bool `json:"staged,omitempty"`
}

// Untold are rows of a file that was not published whose key nobody can tell.
type Untold struct {
	FileID dms.FileID `json:"file_id"`
	Key    string     `json:"key"`
	Status string     `json:"status"`
	Rows   int64      `json:"rows"`
}

// Place is a row of a file.
type Place struct {
	FileID dms.FileID `json:"file_id"`
	Row    int64      `json:"row"`
}

// Life is the life of one row.
type Life struct {
	Table dms.TableID `json:"table"`
	Seq   uint64      `json:"seq"` // the newest event of the log that counts
	// Touches are its changes in the order of their positions: what is not in force
	// stands among them.
	Touches []*Touch `json:"touches"`
	// Files counts those that the log knows, ByRange those that the ranges of their keys
	// ruled out, ByKey those that their staged keys did, Scanned those that were read.
	Files   int      `json:"files"`
	ByRange int      `json:"ruled_out_by_range"`
	ByKey   int      `json:"ruled_out_by_key"`
	Scanned int      `json:"scanned"`
	Unread  []Unread `json:"unread,omitempty"`
	Untold  []Untold `json:"untold,omitempty"`
	// SetAside counts rows of the files that could not be taken: whose they are nobody
	// can tell.
	SetAside int64 `json:"rows_set_aside,omitempty"`
	// Lake is what the lake holds; Agrees tells whether that is what the files give.
	Lake   []Place `json:"lake"`
	Agrees bool    `json:"agrees"`
	// Unknown: the lake's snapshot of the log's end has expired.
	Unknown bool `json:"lake_unknown,omitempty"`
	// Lost tells why the lake cannot be asked, which lost the table or is damaged; empty if
	// it can.
	Lost string `json:"lake_lost,omitempty"`
}

// Whole reports whether every row that may have changed the key could be asked.
func (l *Life) Whole() bool {
	return l.SetAside == 0 && len(l.Untold) == 0 && !slices.ContainsFunc(l.Unread, func(u Unread) bool { return !u.Staged })
}

// Deps are what an explanation reads.
type Deps struct {
	Log                  Log
	Raw, Staging, Failed objects.Bucket
	Lake                 *lake.Lake // nil: nothing was published yet
	Transform            transform.Config
}

// Query is the row that is asked for.
type Query struct {
	Table dms.TableID
	// Key gives the encoded key by the newest registration.
	Key func(columns []string, parse func(values []string) ([]byte, error)) ([]byte, error)
	// ShowValues keeps the values of the changes.
	ShowValues bool
}

// ErrUnknown: the log holds nothing of the table.
var ErrUnknown = errors.New("the log holds no registration of this table")

// Explain tells the life of a row.
func Explain(ctx context.Context, deps Deps, q Query) (*Life, error) {
	h, err := readHistory(ctx, deps.Log, eventlog.Filter{Table: q.Table})
	if err != nil {
		return nil, err
	}
	spec, ok := h.specs[h.state.SpecVersion]
	if !ok {
		return nil, ErrUnknown
	}
	key, err := q.Key(spec.PrimaryKey, func(values []string) ([]byte, error) { return transform.ParseKey(spec, values) })
	if err != nil {
		return nil, err
	}
	e := &explainer{deps: deps, query: q, history: h, key: key, life: &Life{Table: q.Table, Seq: h.last, Touches: []*Touch{}, Lake: []Place{}}}
	for _, f := range h.sorted() {
		e.life.Files++
		if err := e.file(ctx, f); err != nil {
			return nil, fmt.Errorf("file %s (%s): %w", f.ID, f.Object.Key, err)
		}
	}
	e.judge()
	return e.life, e.ask(ctx)
}

type explainer struct {
	deps    Deps
	query   Query
	history *history
	key     []byte
	life    *Life
}

// file finds the changes of the key in one file.
func (e *explainer) file(ctx context.Context, f *file) error {
	if f.Counts != nil && f.inForce() {
		e.life.SetAside += f.Counts.GetRejected()
	}
	staged, err := e.consult(ctx, f)
	if err != nil {
		return err
	}
	if staged.rulesOut() {
		return nil
	}
	spec, ok := e.history.specs[f.spec]
	if !ok {
		return fmt.Errorf("it was staged by registration %d, which the log does not hold", f.spec)
	}
	e.life.Scanned++
	job := transform.Job{Table: spec, File: dms.File{ID: f.ID, Object: f.Object, Kind: f.Kind, Order: f.Order, Part: f.Part, Mending: f.Mending.Original()}, Token: max(f.Token, 1)}
	from := len(e.life.Touches)
	passed, err := transform.EachChange(ctx, e.deps.Transform, transform.Deps{Raw: e.deps.Raw, Failed: e.deps.Failed}, job, e.key, func(c transform.Change) error {
		e.life.Touches = append(e.life.Touches, e.touch(f, c))
		return nil
	})
	var refused *transform.Failure
	if errors.As(err, &refused) {
		if staged.known {
			e.life.Touches = append(e.life.Touches[:from], staged.touches...)
		}
		e.life.Unread = append(e.life.Unread, Unread{
			FileID: f.ID, Key: f.Object.Key, Status: string(f.Status), Reason: refused.Code + ": " + refused.Message, Staged: staged.known,
		})
		err = nil
	}
	if passed > 0 && f.published == nil {
		e.life.Untold = append(e.life.Untold, Untold{FileID: f.ID, Key: f.Object.Key, Status: string(f.Status), Rows: passed})
	}
	return err
}

// staged is what the staged output of a file tells of the key.
type staged struct {
	known   bool // it is there, and has the bytes that the log vouches for
	touches []*Touch
}

// rulesOut reports whether the file need not be read.
func (s staged) rulesOut() bool { return s.known && len(s.touches) == 0 }

// consult asks the staged output of a file what it holds of the key. Without staged
// output nothing is known.
func (e *explainer) consult(ctx context.Context, f *file) (staged, error) {
	if f.Staged == nil {
		return staged{}, nil
	}
	m, err := transform.ReadManifest(ctx, e.deps.Staging, f.Staged.ManifestKey, f.Staged.ManifestSHA256)
	if lost(err) {
		return staged{}, nil
	}
	if err != nil {
		return staged{}, err
	}
	out := staged{known: true}
	near := false
	for _, kind := range []struct {
		op    string
		files []transform.StagedParquet
	}{{"I or U", m.Rows}, {"D or moved away", m.Deletes}} {
		for _, s := range kind.files {
			if !s.MayHold(e.key) {
				continue
			}
			near = true
			found, err := e.find(ctx, f, s)
			if lost(err) {
				return staged{}, nil
			}
			if err != nil {
				return staged{}, err
			}
			if found == nil {
				continue
			}
			t := e.touch(f, transform.Change{Row: found.Row, Position: found.Position})
			t.Op = kind.op
			out.touches = append(out.touches, t)
		}
	}
	switch {
	case len(out.touches) > 0:
	case near:
		e.life.ByKey++
	default:
		e.life.ByRange++
	}
	return out, nil
}

// find looks for the key in one staged file, after its bytes.
func (e *explainer) find(ctx context.Context, f *file, s transform.StagedParquet) (found *transform.StagedChange, err error) {
	r, err := transform.OpenStaged(ctx, e.deps.Staging, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.VerifySHA256(ctx); err != nil {
		return nil, err
	}
	return r.Find(ctx, transform.KeyColumns(e.history.specs[f.spec]), e.key)
}

// lost reports whether staged output is gone, or not what it was.
func lost(err error) bool {
	return errors.Is(err, objects.ErrNotFound) || errors.Is(err, transform.ErrCorrupt)
}

func (e *explainer) touch(f *file, c transform.Change) *Touch {
	t := &Touch{
		FileID: f.ID, Key: f.Object.Key, Kind: f.Kind.String(), Row: c.Row, Op: string(c.Op), Position: c.Position, file: f,
		MendedOf: f.Mending.FileID,
	}
	if c.Moved {
		t.Op = "moved away"
	}
	t.Committed, _ = c.Position.CommitTime()
	if f.published != nil {
		t.Published, t.Token, t.Snapshot = f.published.at.UTC(), f.published.token, f.published.snapshot
	}
	if e.query.ShowValues {
		t.values, t.Values = c.Values, map[string]*string{}
		for _, v := range c.Values {
			t.Values[v.Column] = v.Text
		}
	}
	return t
}

// removes reports whether the key has no row after the change.
func (t *Touch) removes() bool { return t.Op == "D" || strings.HasSuffix(t.Op, "moved away") }

// before orders changes as the table does. Of one row that removes a key and gives it
// again there is nothing to order: an update that moves nothing is one change.
func before(a, b *Touch) int {
	return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Row, b.Row), cmp.Compare(a.FileID, b.FileID))
}

// judge says what came of each change: the last one of those in force counts.
func (e *explainer) judge() {
	touches := e.life.Touches
	slices.SortStableFunc(touches, before)
	// Of those in force after the current one, that which was published first, and
	// stands lowest in its publication: by it the current one was overtaken. It was not
	// late itself: nothing after it was published before.
	var first *Touch
	for _, t := range slices.Backward(touches) {
		f := t.file
		switch {
		case f.replacedBy != nil:
			t.Fate, t.By = Replaced, fmt.Sprintf("the full load that token %d published", f.replacedBy.token)
		case f.published == nil && (f.Superseded || f.Status == lockmanager.Ignored && f.Reason == lockmanager.ReasonSuperseded):
			t.Fate = Superseded
		case f.published == nil:
			t.Fate, t.By = Unpublished, string(f.Status)
		case first == nil && t.removes():
			t.Fate = Removed
		case first == nil:
			t.Fate = Holds
		case first.file.published.seq < f.published.seq:
			t.Fate = Late
		default:
			t.Fate = Overtaken
		}
		if !f.inForce() {
			continue
		}
		if first != nil {
			t.By = fmt.Sprintf("row %d of file %s", first.Row, first.FileID)
		}
		if first == nil || f.published.seq <= first.file.published.seq {
			first = t
		}
	}
}

// lookup finds the row in the newest snapshot that the log knows.
func (e *explainer) lookup(ctx context.Context) (found lake.Found, err error) {
	if e.deps.Lake == nil {
		return found, lake.ErrNoTable
	}
	set, err := e.deps.Lake.RowsAt(ctx, e.query.Table, e.history.snapshot)
	if err != nil {
		return found, err
	}
	spec := e.history.specs[e.history.state.SpecVersion]
	return set.Lookup(ctx, spec.PrimaryKey, bytes.Clone(e.key))
}

// setBack tells that a table without the snapshot was set back; empty where it has gone on.
func (e *explainer) setBack(ctx context.Context) string {
	token, err := e.deps.Lake.Token(ctx, e.query.Table)
	switch {
	case err != nil:
		return "the table cannot be read: " + err.Error()
	case token < e.history.state.Committed && e.history.state.Losses.Cover(e.history.state.Committed):
		return fmt.Sprintf("what was committed up to token %d was lost, and that accepted", e.history.state.Committed)
	case token < e.history.state.Committed:
		return fmt.Sprintf("the table was set back: it is at token %d, and a commit was made under token %d", token, e.history.state.Committed)
	}
	return ""
}

// ask looks up what the lake holds.
func (e *explainer) ask(ctx context.Context) error {
	var want []Place
	for _, t := range e.life.Touches {
		if t.Fate == Holds {
			want = append(want, Place{t.FileID, t.Row})
		}
	}
	if e.history.snapshot == 0 {
		e.life.Agrees = len(want) == 0
		return nil
	}
	found, err := e.lookup(ctx)
	switch {
	case errors.Is(err, lake.ErrNoSnapshot):
		e.life.Lost = e.setBack(ctx)
		e.life.Unknown = e.life.Lost == ""
		return nil
	case errors.Is(err, lake.ErrNoTable):
		e.life.Lost = "the catalog knows no such table, in which it was published by the log"
		return nil
	case lake.Damaged(err):
		e.life.Lost = "the table cannot be read: " + err.Error()
		return nil
	case err != nil:
		return err
	}
	for _, r := range found.Rows {
		// A mended row bears the file and the number that it has always had.
		e.life.Lake = append(e.life.Lake, Place{r.File, r.Number})
	}
	e.life.Agrees = slices.Equal(e.life.Lake, want)
	return nil
}
