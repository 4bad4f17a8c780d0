package archive

import (
	"bytes"
	"fmt"
	"reflect"

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
func (r row) equal(o row) bool {
	if !bytes.Equal(r.Payload, o.Payload) {
		return false
	}
	r.Payload, o.Payload = nil, nil
	return reflect.DeepEqual(r, o)
}
