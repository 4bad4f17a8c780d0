package ingestrouter

import (
	"context"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// Notified is what became of a notification.
type Notified struct {
	Told []Told `json:"told"` // in the order of the notification
	// Faults are what could not be told, and will not be able to be if it is tried
	// again: each says what and where.
	Faults []string `json:"faults,omitempty"`
}

// Told is what became of one event of a notification.
type Told struct {
	Event     string `json:"event"` // as AWS names it
	Key       string `json:"key,omitempty"`
	VersionID string `json:"version_id,omitempty"`
	// ID is the file_id of an object, or the deletion_id of a deletion; empty of an
	// event that was passed over.
	ID     dms.FileID `json:"id,omitempty"`
	Detail string     `json:"detail,omitempty"` // for a person
}

// Notify tells of all that a notification names (see ParseNotification); it
// returns when what follows from it is in the log. Size, ETag and time of an
// object are those of the bucket, not those that the notification claims. An
// error may pass: a notification may be given any number of times.
func (s *Service) Notify(ctx context.Context, data []byte) (Notified, error) {
	notices, err := ParseNotification(data)
	n := Notified{Told: []Told{}}
	if err != nil {
		n.Faults = append(n.Faults, err.Error())
	}
	for _, notice := range notices {
		told := Told{Event: notice.Name, Key: notice.Key, VersionID: notice.VersionID}
		var fault error
		switch notice.Event {
		case NoticeCreated:
			told.ID, told.Detail, fault, err = s.created(ctx, notice)
		case NoticeDeleted:
			told.ID, fault, err = s.deleted(ctx, notice)
		default:
			told.Detail, err = "passed over: it tells of no object that has come or gone", nil
		}
		switch {
		case err != nil:
			return n, fmt.Errorf("%s of %s: %w", notice.Name, notice.Key, err)
		case fault != nil:
			n.Faults = append(n.Faults, fmt.Sprintf("%s of %s: %v", notice.Name, notice.Key, fault))
		default:
			n.Told = append(n.Told, told)
		}
	}
	return n, nil
}

// created offers the version of the object that a notice names.
func (s *Service) created(ctx context.Context, n Notice) (id dms.FileID, detail string, fault, err error) {
	object, detail, fault, err := s.find(ctx, n)
	if fault != nil || err != nil {
		return "", "", fault, err
	}
	id, err = s.Offer(ctx, object, FromEvent)
	return id, detail, nil, err
}

// find looks up the version of an object that a notice of its creation names; a fault
// is why it can never be told of.
func (s *Service) find(ctx context.Context, n Notice) (o dms.Object, detail string, fault, err error) {
	if fault := s.foreign(n); fault != nil {
		return o, "", fault, nil
	}
	info, err := s.version(ctx, n)
	switch {
	case errors.Is(err, objects.ErrNotFound), errors.Is(err, objects.ErrChanged), errors.Is(err, objects.ErrKey):
		return o, "", fmt.Errorf("the bucket does not have it in this version, so nothing was told: %w", err), nil
	case err != nil:
		return o, "", nil, err
	}
	if n.ETag != "" && n.ETag != info.ETag {
		detail = "it was written again since the event, or has another kind of ETag: what is there now was told"
	}
	return s.object(info), detail, nil, nil
}

// version tells of the version that a notice names; without one, of what is there.
func (s *Service) version(ctx context.Context, n Notice) (objects.Info, error) {
	if n.VersionID == "" {
		return s.deps.Raw.Stat(ctx, n.Key)
	}
	r, err := s.deps.Raw.Open(ctx, n.Key, objects.Version{ID: n.VersionID})
	if err != nil {
		return objects.Info{}, err
	}
	return r.Info(), r.Close()
}

func (s *Service) deleted(ctx context.Context, n Notice) (id dms.FileID, fault, err error) {
	if fault := s.foreign(n); fault != nil {
		return "", fault, nil
	}
	return n.Deletion().ID(), nil, s.Delete(ctx, n.Deletion())
}

// foreign refuses an event of another bucket: its keys may be those of ours.
func (s *Service) foreign(n Notice) error {
	if n.Bucket != s.deps.Raw.Name() {
		return fmt.Errorf("it is of bucket %q, the raw bucket is %q: send it where that bucket is read", n.Bucket, s.deps.Raw.Name())
	}
	return nil
}
