package hammer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/openblotter/blotter/pkg/dms"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// door is how a history reaches the services: as an operator, and as whatever tells of
// objects. What fails at it may have happened or not.
type door interface {
	offer(ctx context.Context, key string) error
	list(ctx context.Context, r ingestrouter.ListRequest) error
	replay(ctx context.Context, r ingestrouter.ReplayRequest) (ingestrouter.Replayed, error)
	command(ctx context.Context, name string, r lockmanager.CommandRequest) (lockmanager.CommandReply, error)
}

var (
	_ door = (*node)(nil)
	_ door = natsDoor{}
)

func (n *node) offer(ctx context.Context, key string) error {
	info, err := n.raw.Stat(ctx, key)
	if err != nil {
		return err
	}
	_, err = n.router.Offer(ctx, dms.Object{
		Bucket: n.raw.Name(), Key: info.Key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC(),
	}, ingestrouter.FromEvent)
	return err
}

func (n *node) list(ctx context.Context, r ingestrouter.ListRequest) error {
	_, err := n.router.List(ctx, r)
	return err
}

func (n *node) replay(ctx context.Context, r ingestrouter.ReplayRequest) (ingestrouter.Replayed, error) {
	return n.router.Replay(ctx, r)
}

func (n *node) command(ctx context.Context, name string, r lockmanager.CommandRequest) (lockmanager.CommandReply, error) {
	return n.locks.Execute(ctx, name, r)
}

// natsDoor asks processes over NATS, whichever takes the request.
type natsDoor struct{ nc *nats.Conn }

// answerIn bounds a request: its process may die over it.
const answerIn = 2 * time.Second

func (d natsDoor) ask(ctx context.Context, subject string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	msg, err := d.nc.RequestWithContext(ctx, subject, body)
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	if refused := msg.Header.Get("Nats-Service-Error"); refused != "" {
		return fmt.Errorf("ask %s: %w", subject, errors.New(refused))
	}
	if err := json.Unmarshal(msg.Data, answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", subject, err)
	}
	return nil
}

// offer hands over what EventBridge says of a new object.
func (d natsDoor) offer(ctx context.Context, key string) error {
	type named struct {
		Name string `json:"name,omitempty"`
		Key  string `json:"key,omitempty"`
	}
	var told ingestrouter.Notified
	return d.ask(ctx, ingestrouter.NotifySubject, map[string]any{
		"source": "aws.s3", "detail-type": "Object Created", "time": begun,
		"detail": map[string]named{"bucket": {Name: "raw"}, "object": {Key: key}},
	}, &told)
}

func (d natsDoor) list(ctx context.Context, r ingestrouter.ListRequest) error {
	var listed ingestrouter.Listed
	return d.ask(ctx, ingestrouter.ListSubject, r, &listed)
}

func (d natsDoor) replay(ctx context.Context, r ingestrouter.ReplayRequest) (answer ingestrouter.Replayed, err error) {
	err = d.ask(ctx, ingestrouter.ReplaySubject, r, &answer)
	return answer, err
}

func (d natsDoor) command(ctx context.Context, name string, r lockmanager.CommandRequest) (answer lockmanager.CommandReply, err error) {
	err = d.ask(ctx, lockmanager.CommandSubject+"."+name, r, &answer)
	return answer, err
}
