package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// MaxDifferences bounds the differences that are listed for a table.
const MaxDifferences = 100

// Difference is one fact on which log and control store do not agree.
type Difference struct {
	What  string `json:"what"`  // such as "rows" or "file 1f3a…: status"
	Log   string `json:"log"`   // what folding the log gives
	Store string `json:"store"` // what the control store has
}

// differences collects what differs.
type differences struct{ list []Difference }

func (d *differences) add(what string, log, store any) {
	if len(d.list) < MaxDifferences {
		d.list = append(d.list, Difference{What: what, Log: fmt.Sprint(log), Store: fmt.Sprint(store)})
	}
}

// json compares two encoded objects field by field; prefix names them.
func (d *differences) json(prefix string, log, store []byte) error {
	if bytes.Equal(log, store) {
		return nil
	}
	var a, b any
	for _, side := range []struct {
		from []byte
		to   *any
	}{{log, &a}, {store, &b}} {
		decoder := json.NewDecoder(bytes.NewReader(side.from))
		decoder.UseNumber() // tokens and snapshots do not fit a float64
		if err := decoder.Decode(side.to); err != nil {
			return fmt.Errorf("read %sstate: %w", prefix, err)
		}
	}
	d.values(prefix, a, b)
	return nil
}

func (d *differences) values(path string, log, store any) {
	a, aIs := log.(map[string]any)
	b, bIs := store.(map[string]any)
	if !aIs || !bIs {
		if !reflect.DeepEqual(log, store) {
			d.add(path, shown(log), shown(store))
		}
		return
	}
	names := map[string]bool{}
	for _, m := range []map[string]any{a, b} {
		for name := range m {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		at := path + name
		if len(path) > 0 && path[len(path)-1] != ' ' {
			at = path + "." + name
		}
		d.values(at, a[name], b[name])
	}
}

// shown is a value as JSON; "-" for none.
func shown(v any) string {
	if v == nil {
		return "-"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
