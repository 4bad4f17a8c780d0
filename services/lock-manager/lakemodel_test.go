package lockmanager

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
)

// place is a row's place in the total order of a generation, as design.md
// gives it: load rows first, then by sequence, then file order, then row.
type place struct {
	class byte
	seq   int
	order string
	row   int
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.class, q.class), cmp.Compare(p.seq, q.seq),
		cmp.Compare(p.order, q.order), cmp.Compare(p.row, q.row))
}

// lakeRow is what the lake knows of a key: a row, or a remembered delete.
type lakeRow struct {
	place   place
	value   int
	deleted bool
}

// commit is one snapshot of the lake. Without files it is a fence.
type commit struct {
	token    uint64
	fence    bool
	maintain bool // a step of maintenance: the rows are as before
	replace  bool
	seals    int // of a replacement: how many seals there were; it carries out the last
	files    []string
}

// lakeModel is the table in the lake. Its head is the number of its commits.
type lakeModel struct {
	rows    map[int]lakeRow
	commits []commit
}

func (l *lakeModel) head() int { return len(l.commits) }

func (l *lakeModel) last() commit {
	if len(l.commits) == 0 {
		return commit{}
	}
	return l.commits[len(l.commits)-1]
}

// of finds what was committed with a token.
func (l *lakeModel) of(token uint64) (commit, bool) {
	i := slices.IndexFunc(l.commits, func(c commit) bool { return c.token == token })
	if i < 0 {
		return commit{}, false
	}
	return l.commits[i], true
}

// before gives the newest token before another under which rows or upkeep were committed,
// 0 if there is none.
func (l *lakeModel) before(token uint64) uint64 {
	for i := len(l.commits) - 1; i >= 0; i-- {
		if c := l.commits[i]; !c.fence && c.token < token {
			return c.token
		}
	}
	return 0
}

// checkTurn: what is asked of the lake names the newest commit that must be there.
func (w *world) checkTurn(e proto.Message) {
	turn, ok := e.(interface {
		GetToken() uint64
		GetAfterToken() uint64
	})
	if !ok {
		return
	}
	if got, want := turn.GetAfterToken(), w.lake.before(turn.GetToken()); got != want {
		w.problem("%T of token %d is to follow token %d, the lake was committed to under %d before", e, turn.GetToken(), got, want)
	}
}

func (l *lakeModel) clone() lakeModel {
	return lakeModel{rows: maps.Clone(l.rows), commits: slices.Clone(l.commits)}
}

// merge takes the rows of one file in: the later place wins, whatever came first.
func (l *lakeModel) merge(f *rawFile) {
	for i, o := range f.ops {
		at := f.placeOf(i, o)
		if old, ok := l.rows[o.key]; ok && old.place.compare(at) > 0 {
			continue
		}
		l.rows[o.key] = lakeRow{place: at, value: o.value, deleted: o.kind == 'D'}
	}
}

// commit publishes files under a token.
func (l *lakeModel) commit(token uint64, replace bool, files []*rawFile) {
	if replace || l.rows == nil {
		l.rows = map[int]lakeRow{}
	}
	c := commit{token: token, replace: replace}
	for _, f := range files {
		l.merge(f)
		c.files = append(c.files, string(f.id()))
	}
	l.commits = append(l.commits, c)
}

func (l *lakeModel) fence(token uint64) {
	l.commits = append(l.commits, commit{token: token, fence: true})
}

func (l *lakeModel) maintain(token uint64) {
	l.commits = append(l.commits, commit{token: token, maintain: true})
}

// live gives the rows that readers see.
func (l *lakeModel) live() map[int]int {
	out := map[int]int{}
	for key, r := range l.rows {
		if !r.deleted {
			out[key] = r.value
		}
	}
	return out
}
