package sqs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
)

const (
	maxName = 80
	fifo    = ".fifo"
	hashed  = 16 // bytes of a hash, in hex
	// maxPrefix leaves room for the name of a table that is told by its hash alone, which
	// stays whole behind the longest prefix.
	maxPrefix = maxName - len("_h") - 2*hashed - len(fifo)
)

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

func prefixAllowed(prefix string) bool {
	for i := range len(prefix) {
		if !plain(prefix[i]) && prefix[i] != '_' {
			return false
		}
	}
	return len(prefix) <= maxPrefix
}

// queueName is the name of a table's queue: one table has one name, and no other
// has it.
func queueName(prefix string, table dms.TableID) string {
	var b strings.Builder
	b.WriteString(prefix)
	id := table.String()
	for i := range len(id) {
		if plain(id[i]) {
			b.WriteByte(id[i])
		} else {
			fmt.Fprintf(&b, "_%02X", id[i])
		}
	}
	name := b.String()
	if len(name)+len(fifo) <= maxName {
		return name + fifo
	}
	sum := sha256.Sum256([]byte(id))
	end := "_h" + hex.EncodeToString(sum[:hashed]) + fifo // no escape begins with a small letter
	return name[:maxName-len(end)] + end
}

// tagValue is the table's name as far as tags can hold it.
func tagValue(table dms.TableID) string {
	const most = 256
	value := strings.Map(func(r rune) rune {
		if r < 0x80 && plain(byte(r)) || strings.ContainsRune("_.:/=+@ ", r) {
			return r
		}
		return '_'
	}, table.String())
	return value[:min(len(value), most)]
}
