package registry

import (
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
)

// Matcher tells which table an object belongs to. It does not change; it is safe
// for concurrent use. A match takes time by the depth of the key, not by the
// number of tables.
type Matcher struct {
	places   map[string]dms.TableID // by full path, "" or ending in "/"
	prefixes map[string]bool
	sources  map[string]*sourceIndex // by database
}

// NewMatcher knows the folders of the tables, among them those of pseudo-tables
// of transaction files. Of two tables in one place, which CheckTogether refuses,
// the first by name has it.
func NewMatcher(tables []Table) *Matcher {
	m := &Matcher{places: make(map[string]dms.TableID, len(tables)), prefixes: map[string]bool{}, sources: map[string]*sourceIndex{}}
	sorted := slices.Clone(tables)
	slices.SortStableFunc(sorted, func(a, b Table) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	for _, t := range sorted {
		m.prefixes[t.Prefix] = true
		m.add(t.Location(), t.ID)
		if t.ID.IsTransactions() {
			continue
		}
		if m.sources[t.ID.DB] == nil {
			m.sources[t.ID.DB] = &sourceIndex{}
		}
		m.sources[t.ID.DB].add(t)
	}
	return m
}

// MatchPart finds the table that a part of a transaction file of db belongs to.
// A table's own folder names it as its source does, <schema>/<table>/; else the
// registered schema and name count. Case is disregarded where it does not tell
// two tables apart.
func (m *Matcher) MatchPart(db string, part dms.Part) (id dms.TableID, ok bool) {
	if x := m.sources[db]; x != nil {
		return x.match(sourceName{part.Schema, part.Table})
	}
	return dms.TableID{}, false
}

func (m *Matcher) add(path string, id dms.TableID) {
	if _, taken := m.places[path]; !taken {
		m.places[path] = id
	}
}

// Match finds the table whose folder holds the object; the longest path wins.
// rel is the key below that folder. An object below a cdc_path belongs to the
// pseudo-table "<db>.@txn", once that is registered.
//
// If ok is false, no registered table holds it. Below the prefix of any, rel is
// then the key below the longest such prefix, and the TableID a guess from its
// first two folders, schema and table; it is zero if there are fewer. Elsewhere
// the TableID is zero and rel the key.
func (m *Matcher) Match(key string) (id dms.TableID, rel string, ok bool) {
	for end := len(key); ; {
		end = strings.LastIndexByte(key[:end], '/')
		if id, ok := m.places[key[:end+1]]; ok {
			return id, key[end+1:], true
		}
		if end < 0 {
			break
		}
	}
	for end := len(key); ; {
		end = strings.LastIndexByte(key[:end], '/')
		if m.prefixes[key[:end+1]] {
			rel = key[end+1:]
			return guess(rel), rel, false
		}
		if end < 0 {
			return dms.TableID{}, key, false
		}
	}
}

// guess takes the first two folders of a key for schema and table.
func guess(rel string) dms.TableID {
	schema, rest, _ := strings.Cut(rel, "/")
	table, _, ok := strings.Cut(rest, "/")
	if !ok || schema == "" || table == "" {
		return dms.TableID{}
	}
	return dms.TableID{DB: schema, Table: table}
}

// Location is the folder of the table's objects: "" or ending in "/".
func (t Table) Location() string { return t.Prefix + t.Path }
