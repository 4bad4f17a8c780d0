package glue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// planName is the object that tells the job what to do.
const planName = "plan.json"

func announcementKey(stage string, n int) string { return fmt.Sprintf("%sglue-run-%d.json", stage, n) }

// announcement is what an announcement holds, for people.
type announcement struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
}

// lastAnnounced gives the number of the last announced run of a stage and when the
// first was announced, by the bucket's clock; 0 if none was.
func (r *Runner) lastAnnounced(ctx context.Context, stage string) (n int, first time.Time, err error) {
	for n < r.cfg.announcements() {
		info, err := r.deps.Staging.Stat(ctx, announcementKey(stage, n+1))
		if errors.Is(err, objects.ErrNotFound) {
			break
		}
		if err != nil {
			return 0, first, fmt.Errorf("look for announced runs: %w", err)
		}
		if n++; n == 1 {
			first = info.LastModified
		}
	}
	return n, first, nil
}

// announce announces run n; false if another has done so.
func (f *follower) announce(ctx context.Context, n int) (bool, error) {
	data, err := json.Marshal(announcement{Job: f.name, Attempt: n})
	if err != nil {
		return false, fmt.Errorf("announce run %d: %w", n, err)
	}
	err = create(ctx, f.r.deps.Staging, announcementKey(f.stage, n), append(data, '\n'))
	if errors.Is(err, objects.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// plan puts the plan where the job reads it; when an earlier attempt has put one
// already, that one stays.
func (f *follower) plan(ctx context.Context) error {
	data, err := f.r.deps.Plan(ctx, f.batch)
	if err != nil {
		return fmt.Errorf("plan the run: %w", err)
	}
	err = create(ctx, f.r.deps.Staging, f.stage+planName, data)
	if errors.Is(err, objects.ErrExists) {
		return nil
	}
	return err
}

// create writes a small object, create-only.
func create(ctx context.Context, bucket objects.Bucket, key string, data []byte) error {
	w, err := bucket.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	_, err = w.Write(data)
	if err == nil {
		_, err = w.Commit(ctx)
	}
	if err = errors.Join(err, w.Abort()); err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	return nil
}
