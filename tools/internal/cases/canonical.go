package cases

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/openblotter/blotter/pkg/registry"
)

// column compares the values of one column.
type column struct {
	name string
	kind registry.Kind
}

// hashed is how the expected rows show a long or unprintable text.
var hashed = regexp.MustCompile(`^@sha256:[0-9a-f]{64}:[0-9]+$`)

// equal reports whether a value is the wanted one.
func (c column) equal(want, got Cell) bool {
	if want.Null || got.Null {
		return want.Null == got.Null
	}
	if want.Text == got.Text {
		return true
	}
	if strings.HasPrefix(want.Text, "@sha256:") && hashed.MatchString(want.Text) {
		return want.Text == hash(got.Text)
	}
	switch c.kind {
	case registry.Int, registry.Long, registry.Float, registry.Double:
		return c.number(want.Text) == c.number(got.Text)
	}
	return false
}

// appendCanonical appends a form of the value that is equal for equal values
// and self-delimiting.
func (c column) appendCanonical(dst []byte, v Cell) []byte {
	if v.Null {
		return append(dst, 0)
	}
	text := v.Text
	switch c.kind {
	case registry.Int, registry.Long, registry.Float, registry.Double:
		text = c.number(text)
	case registry.String:
		if !hashed.MatchString(text) {
			text = hash(text)
		}
	}
	dst = append(dst, 1)
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, ':')
	return append(dst, text...)
}

// number gives one spelling for all spellings of a number; text that is no
// number stays as it is.
func (c column) number(text string) string {
	switch c.kind {
	case registry.Float, registry.Double:
		width := 64
		if c.kind == registry.Float {
			width = 32
		}
		f, err := strconv.ParseFloat(text, width)
		if err != nil {
			return text
		}
		if f == 0 {
			f = 0 // minus zero is zero
		}
		return strconv.FormatFloat(f, 'g', -1, width)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	if n, ok := new(big.Int).SetString(text, 10); ok {
		return n.String()
	}
	return text
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "@sha256:" + hex.EncodeToString(sum[:]) + ":" + strconv.Itoa(len(text))
}
