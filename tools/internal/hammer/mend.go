package hammer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// mend has an operator mend the rows that were set aside, and ask twice for them to
// come in.
func (w *world) mend() error {
	for _, t := range w.history.tables {
		if !t.rejects || !t.together {
			continue
		}
		id := dms.TableID{DB: "rms", Table: t.name}
		var mended string
		err := w.look(func(n *node) error {
			key, err := rejectedKey(w.ctx, n, id)
			if err != nil {
				return err
			}
			content, err := mendIDs(w.ctx, n.failed, key)
			if err != nil {
				return err
			}
			mended = path.Dir(key) + "/mended-1.jsonl"
			return create(w.ctx, n.failed, mended, content)
		})
		if err != nil {
			return fmt.Errorf("mend the rejected rows of %s: %w", id, err)
		}
		w.history.mend(t.name, mended)
		for range 2 {
			if err := w.bringIn(id, mended); err != nil {
				return err
			}
		}
		err = w.look(func(n *node) error {
			state, err := n.state(w.ctx, id)
			if err == nil && state.Rejected != 0 {
				w.violate("%s: %d rows are set aside once they are mended", id, state.Rejected)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) bringIn(id dms.TableID, key string) error {
	err := w.try("replay "+key, func(d door) error {
		answer, err := d.replay(w.ctx, ingestrouter.ReplayRequest{Actor: actor, Reason: "hammer", Table: id.String(), Key: key})
		if answer.Refused != "" {
			w.violate("%s: the mended rows are refused: %s %v", id, answer.Refused, answer.Faults)
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.calm()
}

func create(ctx context.Context, bucket objects.Bucket, key, content string) error {
	out, err := bucket.Create(ctx, key)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, content); err != nil {
		return errors.Join(err, out.Abort())
	}
	_, err = out.Commit(ctx)
	return err
}

// rejectedKey finds the rows that were set aside of a table, in the staging that
// was published: others may have been told of before a crash.
func rejectedKey(ctx context.Context, n *node, table dms.TableID) (string, error) {
	for r, err := range n.log.Read(ctx, eventlog.Filter{Table: table, Event: "RowsRejected"}) {
		if err != nil {
			return "", err
		}
		e := r.Event.(*blotterv1.RowsRejected)
		row, err := n.store.File(ctx, table, dms.FileID(e.GetFileId()))
		if err != nil {
			return "", err
		}
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			return "", err
		}
		rejected, err := transform.OpenRejected(ctx, n.failed, e.GetRejectedKey())
		if err != nil {
			return "", err
		}
		token := rejected.Header.Token
		if err := rejected.Close(); err != nil {
			return "", err
		}
		if token == f.Staged.Token {
			return e.GetRejectedKey(), nil
		}
	}
	return "", errors.New("the log tells of no rows that were set aside")
}

// mendIDs makes numbers of the ids that say "number <id>".
func mendIDs(ctx context.Context, failed objects.Bucket, key string) (_ string, err error) {
	rejected, err := transform.OpenRejected(ctx, failed, key)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rejected.Close()) }()
	var b bytes.Buffer
	out, err := transform.NewMendedWriter(&b, rejected.Header)
	if err != nil {
		return "", err
	}
	for row, err := range rejected.Rows(ctx) {
		if err != nil {
			return "", err
		}
		fields, err := rejected.Header.Fields(row)
		if err != nil {
			return "", err
		}
		mended := transform.MendedRow{Row: row.Row}
		for _, f := range fields {
			text := strings.TrimPrefix(string(f.Text), "number ")
			mended.Fields = append(mended.Fields, &text)
		}
		if err := out.Write(mended); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}
