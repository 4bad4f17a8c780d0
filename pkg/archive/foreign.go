package archive

import (
	"bytes"
	"fmt"

	"github.com/openblotter/blotter/pkg/transform"
)

// openForeign opens a file that nothing was signed of.
func openForeign(b []byte) (_ *spanFile, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it is damaged: %v", p)
		}
	}()
	file, err := transform.OpenUntrusted(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	return describeSpan(file)
}

// equal compares two rows, value by value.
func (r *row) equal(o *row) bool {
	return r.Sequence == o.Sequence && r.Gap == o.Gap && r.StoredNS == o.StoredNS && r.Subject == o.Subject &&
		r.Headers == o.Headers && bytes.Equal(r.Payload, o.Payload) && r.LeafHash == o.LeafHash &&
		r.Stored == o.Stored && r.Table == o.Table && r.Service == o.Service && r.Event == o.Event &&
		r.ID == o.ID && r.File == o.File && r.Actor == o.Actor && r.Cause == o.Cause
}
