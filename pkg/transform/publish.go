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
	if !errors.Is(err, objects.ErrExists) {
		if err != nil {
			return fmt.Errorf("commit %s: %w", h.key, err)
		}
		return nil
	}
	there, err := h.bucket.Open(ctx, h.key, objects.Version{})
	if err != nil {
		return fmt.Errorf("compare %s with what is there: %w", h.key, err)
	}
	sum, err := hashObject(ctx, there)
	if err = errors.Join(err, there.Close()); err != nil {
		return fmt.Errorf("compare %s with what is there: %w", h.key, err)
	}
	if sum != h.sum() {
		return fmt.Errorf("commit %s: %w with other content: SHA-256 %s, ours %s", h.key, objects.ErrExists, sum, h.sum())
	}
	return nil
}
