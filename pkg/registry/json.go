package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSON gives the canonical form of a registration: equal tables give equal
// bytes. It is what TableRegistered carries and what the control store keeps.
func (t Table) JSON() ([]byte, error) {
	if t.PrimaryKey == nil {
		t.PrimaryKey = []string{}
	}
	if t.Columns == nil {
		t.Columns = []Column{}
	}
	if len(t.Layouts) == 0 {
		t.Layouts = nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(t); err != nil {
		return nil, fmt.Errorf("encode the registration of %s: %w", t.ID, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ParseTable reads what JSON gives. Fields that it does not know, of a later
// version, it passes over.
func ParseTable(data []byte) (Table, error) {
	var t Table
	if err := json.Unmarshal(data, &t); err != nil {
		return Table{}, fmt.Errorf("decode a registration: %w", err)
	}
	return t, nil
}
