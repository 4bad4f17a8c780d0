package transform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// FailureName is the object beside the staged output in which an engine that
// runs elsewhere leaves its Failure: create-only, so that the first one holds.
const FailureName = "failure.json"

// A failure is bounded, and what is read of one that another program wrote.
const (
	maxFailureBytes = 256 << 10
	maxFailureText  = 8000 // of one field
)

// WriteFailure leaves a failure where whoever follows the run finds it. One that
// is there already stays.
func WriteFailure(ctx context.Context, bucket objects.Bucket, table dms.TableID, file dms.FileID, token uint64, f *Failure) error {
	key := StagePrefix(table, file, token) + FailureName
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	w, err := bucket.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	_, err = w.Write(append(data, '\n'))
	if err == nil {
		_, err = w.Commit(ctx)
	}
	if errors.Is(err, objects.ErrExists) {
		err = nil
	}
	if err = errors.Join(err, w.Abort()); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}

// ReadFailure reads what a run of the job left; nil if it left none. It fails
// with ErrCorrupt if that is no failure.
func ReadFailure(ctx context.Context, bucket objects.Bucket, table dms.TableID, file dms.FileID, token uint64) (*Failure, error) {
	key := StagePrefix(table, file, token) + FailureName
	data, err := readAll(ctx, bucket, key, maxFailureBytes)
	if errors.Is(err, objects.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	var f Failure
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", key, ErrCorrupt, err)
	}
	if f.Code == "" || f.Message == "" || f.Row < 0 || f.RowsFailed < 0 {
		return nil, fmt.Errorf("%s: %w: code or message is missing, or a count is negative", key, ErrCorrupt)
	}
	f.bound()
	return &f, nil
}

// bound cuts what is longer than a field of a failure may be.
func (f *Failure) bound() {
	for _, text := range []*string{&f.Code, &f.Message, &f.ObjectKey, &f.Column, &f.Expected, &f.Hint} {
		*text = bounded(*text)
	}
}

func bounded(text string) string {
	if len(text) > maxFailureText {
		text = text[:maxFailureText]
	}
	return strings.ToValidUTF8(text, "")
}
