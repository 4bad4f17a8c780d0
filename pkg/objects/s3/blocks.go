package s3

import (
	"bytes"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// keptBlocks is how many blocks a reader keeps.
	keptBlocks = 64
	// forward is how many blocks are fetched at once where reads run forward.
	forward = 4
)

// blocks keeps what random reads of one object fetched.
type blocks struct {
	reader *reader
	size   int64
	mu     sync.Mutex // guards the choice of who fetches; not held while fetching
	kept   *lru.Cache[int64, *block]
}

// block is a part of an object that is there, or on its way.
type block struct {
	done chan struct{} // closed when data or err is set
	data []byte
	err  error
}

func (b *blocks) init(r *reader) {
	kept, err := lru.New[int64, *block](keptBlocks)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	b.reader, b.size, b.kept = r, int64(r.bucket.limits.Block), kept
}

// readAt fills p from offset; all of it lies inside of the object.
func (b *blocks) readAt(p []byte, offset int64) (int, error) {
	if int64(len(p)) >= b.size {
		if err := b.reader.fetch(p, offset); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	n := 0
	for n < len(p) {
		at := offset + int64(n)
		data, err := b.block(at / b.size)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data[at%b.size:])
	}
	return n, nil
}

// block gives block i, fetched by whoever asks first.
func (b *blocks) block(i int64) ([]byte, error) {
	b.mu.Lock()
	if known, ok := b.kept.Get(i); ok {
		b.mu.Unlock()
		<-known.done
		return known.data, known.err
	}
	count := int64(1)
	if b.kept.Contains(i - 1) {
		for count < forward && (i+count)*b.size < b.reader.info.Size && !b.kept.Contains(i+count) {
			count++
		}
	}
	mine := make([]*block, count)
	for k := range mine {
		mine[k] = &block{done: make(chan struct{})}
		b.kept.Add(i+int64(k), mine[k])
	}
	b.mu.Unlock()

	buf := make([]byte, min(count*b.size, b.reader.info.Size-i*b.size))
	err := b.reader.fetch(buf, i*b.size)
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, blk := range mine {
		start := int64(k) * b.size
		end := min(start+b.size, int64(len(buf)))
		blk.data, blk.err = buf[start:end:end], err
		if count > 1 { // one block must not keep the others alive
			blk.data = bytes.Clone(blk.data)
		}
		if err != nil {
			b.kept.Remove(i + int64(k))
		}
		close(blk.done)
	}
	return mine[0].data, err
}
