package local

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"sync"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

const (
	// maxETags bounds the cache; an entry takes about 130 bytes.
	maxETags = 1 << 20
	// settled is how long a file must be left alone before its ETag is
	// remembered: more than the steps of any file system's clock.
	settled = 2 * time.Second
	// hashChunk is how much is read between two looks at the context.
	hashChunk = 256 << 10
)

type sum [sha256.Size]byte

func (s sum) String() string { return hex.EncodeToString(s[:]) }

// etagCache remembers the sums of files by name and stamp. When it is full an
// arbitrary entry goes: with the oldest going, a scan of more files than fit
// would never find one.
type etagCache struct {
	mu      sync.Mutex
	seed    maphash.Seed
	entries map[uint64]etagEntry // by hash of the name; the stamp holds the inode
	limit   int                  // 0: maxETags
}

type etagEntry struct {
	stamp stamp
	sum   sum
	told  bool // a Watcher has handed it over in this state
}

func (c *etagCache) slot(name string) uint64 {
	if c.entries == nil {
		c.seed, c.entries = maphash.MakeSeed(), make(map[uint64]etagEntry)
	}
	return maphash.String(c.seed, name)
}

func (c *etagCache) get(name string, s stamp) (sum, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[c.slot(name)]
	return e.sum, ok && e.stamp == s
}

func (c *etagCache) put(name string, s stamp, sum sum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := c.slot(name)
	old, ok := c.entries[slot]
	if limit := cmp.Or(c.limit, maxETags); !ok && len(c.entries) >= limit {
		for other := range c.entries {
			delete(c.entries, other)
			break
		}
	}
	// The same file with a new mode, or linked once more, is no news.
	told := ok && old.told && old.sum == sum && old.stamp.sameContent(s)
	c.entries[slot] = etagEntry{stamp: s, sum: sum, told: told}
}

func (c *etagCache) drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, c.slot(name))
}

// tell marks a file in this state as handed over.
func (c *etagCache) tell(name string, s stamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := c.slot(name)
	if e, ok := c.entries[slot]; ok && e.stamp == s {
		e.told = true
		c.entries[slot] = e
	}
}

func (c *etagCache) told(name string, s stamp) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[c.slot(name)]
	return ok && e.told && e.stamp == s
}

// identity is the part of a stamp by which a sum is remembered. Where nothing
// is changed in place the change time tells of links only.
func (b *Bucket) identity(s stamp) stamp {
	if b.immutable {
		s.changed = 0
	}
	return s
}

// remember keeps a sum that was computed while the file had this stamp.
func (b *Bucket) remember(name string, s stamp, sum sum) {
	if b.immutable || s.quiet(b.now()) >= settled {
		b.etags.put(name, b.identity(s), sum)
	}
}

func stampFile(f *os.File) (stamp, error) {
	info, err := f.Stat()
	if err != nil {
		return stamp{}, err
	}
	return stampOf(info), nil
}

// sum gives the SHA-256 of an open file and the stamp for which it holds.
func (b *Bucket) sum(ctx context.Context, name string, f *os.File) (sum, stamp, error) {
	const attempts = 3
	before, err := stampFile(f)
	if err != nil {
		return sum{}, stamp{}, err
	}
	for range attempts {
		if known, ok := b.etags.get(name, b.identity(before)); ok {
			return known, before, nil
		}
		computed, err := hashFile(ctx, f)
		if err != nil {
			return sum{}, stamp{}, err
		}
		after, err := stampFile(f)
		if err != nil {
			return sum{}, stamp{}, err
		}
		if before.sameContent(after) {
			b.remember(name, after, computed)
			return computed, after, nil
		}
		before = after
	}
	return sum{}, stamp{}, fmt.Errorf("%w: it is being written", objects.ErrChanged)
}

var hashBuffers = sync.Pool{New: func() any { return new([hashChunk]byte) }}

// hashFile reads the file from its beginning without moving its offset.
func hashFile(ctx context.Context, f io.ReaderAt) (sum, error) {
	buf := hashBuffers.Get().(*[hashChunk]byte)
	defer hashBuffers.Put(buf)
	h := sha256.New()
	for offset := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return sum{}, err
		}
		n, err := f.ReadAt(buf[:], offset)
		h.Write(buf[:n])
		offset += int64(n)
		if errors.Is(err, io.EOF) {
			return sum(h.Sum(nil)), nil
		}
		if err != nil {
			return sum{}, err
		}
	}
}

// parseSum reads what String gave.
func parseSum(etag string) sum {
	var s sum
	_, _ = hex.Decode(s[:], []byte(etag)) // only ever given an ETag of ours
	return s
}
