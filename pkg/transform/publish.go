package transform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"github.com/openblotter/blotter/pkg/objects"
)

// hashingWriter writes a new object and hashes what it holds.
type hashingWriter struct {
	bucket objects.Bucket
	key    string
	w      objects.Writer
	hash   hash.Hash
	n      int64
	ended  bool // committed or aborted
}

func createHashed(ctx context.Context, bucket objects.Bucket, key string) (*hashingWriter, error) {
	w, err := bucket.Create(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	return &hashingWriter{bucket: bucket, key: key, w: w, hash: sha256.New()}, nil
}

func (h *hashingWriter) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.hash.Write(p[:n])
	h.n += int64(n)
	return n, err
}

func (h *hashingWriter) sum() string { return hex.EncodeToString(h.hash.Sum(nil)) }

// commit makes the object visible. One that is there already, from an attempt
// whose answer was lost, is as good if its content is the same.
func (h *hashingWriter) commit(ctx context.Context) error {
	_, err := h.w.Commit(ctx)
	if err == nil {
		h.ended = true
		return nil
	}
	if errors.Is(err, objects.ErrExists) {
		err = h.compare(ctx)
	}
	if err = errors.Join(err, h.abort()); err != nil {
		return fmt.Errorf("commit %s: %w", h.key, err)
	}
	return nil
}

// compare checks that the object which is there holds the same content.
func (h *hashingWriter) compare(ctx context.Context) error {
	there, err := h.bucket.Open(ctx, h.key, objects.Version{})
	if err != nil {
		return fmt.Errorf("compare with what is there: %w", err)
	}
	sum, err := HashObject(ctx, there)
	if err = errors.Join(err, there.Close()); err != nil {
		return fmt.Errorf("compare with what is there: %w", err)
	}
	if sum != h.sum() {
		return fmt.Errorf("%w with other content: SHA-256 %s, ours %s", objects.ErrExists, sum, h.sum())
	}
	return nil
}

// abort gives the object up, unless it has ended.
func (h *hashingWriter) abort() error {
	if h.ended {
		return nil
	}
	h.ended = true
	return h.w.Abort()
}
