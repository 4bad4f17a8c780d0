package objects

import (
	"context"
	"iter"
)

// Scanner looks through a bucket from any key on, so that a listing of millions of
// objects can be made in steps, by whoever asks next.
type Scanner interface {
	// ScanAfter looks at what lies behind the key after, in key order, of the objects
	// whose keys begin with prefix. Its user may stop at any sighting, and go on later,
	// in another process too, behind the last key that it was told: an object that is
	// there all the while is seen once. Of each object want is asked; nil asks for all.
	// It stops at the first error, which it yields.
	ScanAfter(ctx context.Context, prefix, after string, want Want) iter.Seq2[Sighting, error]
}

// Sighting is what a scan came to.
type Sighting struct {
	// Info tells of an object that is asked for, its ETag included. Of all else it has
	// the key alone, and not even that of what has no place in the order of the keys:
	// then the scan stands where it stood before.
	Info
	Seen Seen
	// Reason is why an object is not whole or unreadable.
	Reason error
}

// Seen says what a sighting is of.
type Seen int

// What a scan comes to.
const (
	// SeenObject is an object that is asked for.
	SeenObject Seen = iota
	// SeenOther is an object that is not.
	SeenOther
	// SeenUnwhole is an object that is still being written.
	SeenUnwhole
	// SeenUnreadable is something that cannot be read, and may be an object, or hold some.
	SeenUnreadable
	// SeenNothing is no object: the scan has come as far as this key, past what was
	// deleted. A bucket that keeps versions may have very many of these in a row.
	SeenNothing
)
