package roles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/openblotter/blotter/pkg/control/dynamo"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

// Found tells of one place.
type Found struct {
	Name  string `json:"name"`
	Where string `json:"where"` // in full, without a password
	// Said: it is not where everything is that nothing is said of.
	Said  bool   `json:"said"`
	State string `json:"state"` // for a person; empty if Err is not nil
	Err   error  `json:"-"`
}

// Look asks of each place whether it is there and can be used. With create, buckets and
// the table of the control store that are missing on AWS are made first; folders and
// files are made when they are needed.
func Look(ctx context.Context, cfg Config, create bool) []Found {
	o := &opener{cfg: cfg}
	all := make([]Found, 0, len(PlaceList()))
	for _, p := range PlaceList() {
		uri := *p.Of(&cfg.Places)
		f := Found{Name: p.Name, Said: uri != ""}
		switch p.Name {
		case "nats":
			f.Where, f.State, f.Err = o.lookAtNATS(ctx)
		case "ingress":
			f.Where, f.State, f.Err = o.lookAtIngress(ctx)
		case "alerts":
			f.Where, f.State, f.Err = o.lookAtAlerts(ctx)
		default:
			f.Where, f.State, f.Err = o.lookAt(ctx, p.Name, create)
		}
		all = append(all, f)
	}
	return all
}

func (o *opener) lookAt(ctx context.Context, name string, create bool) (where, state string, err error) {
	a, err := o.cfg.address(name)
	switch {
	case err != nil:
		return "", "", err
	case a.scheme == "":
		state, err = lookAtPath(a.path)
		return a.path, state, err
	}
	if create {
		if err := o.create(ctx, name, a); err != nil {
			return a.uri(), "", err
		}
	}
	switch {
	case name == "raw":
		var r Raw
		var p place
		if r, p, err = o.raw(ctx); err == nil {
			state = "there"
			if r.(rawOnS3).Bucket.Versions() {
				state = "there, keeps versions"
			}
			err = p.close()
		}
	case a.scheme == schemeS3:
		_, err = o.bucket(ctx, name, true)
		state = "there"
	case a.scheme == schemeDynamo:
		_, err = o.onDynamo(ctx, a.name)
		state = "there"
	case a.scheme == schemeSQS:
		_, _, err = o.hold(ctx)
		state = "SQS answers; queues are made when they are needed"
	case a.scheme == schemeGlue:
		_, err = o.onGlue(ctx, a, nil)
		state = "Glue answers; databases and tables are made when they are needed"
	}
	return a.uri(), state, err
}

func lookAtPath(path string) (string, error) {
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return "there", nil
	case errors.Is(err, fs.ErrNotExist):
		return "not there yet; made when it is needed", nil
	}
	return "", fmt.Errorf("look at it: %w", err)
}

// create makes what AWS lacks.
func (o *opener) create(ctx context.Context, name string, a address) error {
	cfg, err := o.toAWS(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	switch a.scheme {
	case schemeS3:
		if _, err := o.onS3(ctx, a, true, false); !errors.Is(err, s3.ErrNoBucket) {
			return err
		}
		return s3.CreateBucket(ctx, o.s3, a.name, name == "raw")
	case schemeDynamo:
		return dynamo.CreateTable(ctx, dynamodb.NewFromConfig(cfg), a.name)
	}
	return nil
}

func (o *opener) lookAtNATS(ctx context.Context) (where, state string, err error) {
	url := o.cfg.Places.NATS
	if url == "" {
		return o.cfg.path("nats"), "runs in the process", nil
	}
	where = eventlog.Redacted(url)
	nc, err := o.cfg.ConnectNATS(url, "blotter-places", slog.New(slog.DiscardHandler))
	if err != nil {
		return where, "", err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, err = eventlog.Open(ctx, nc, o.cfg.Log, eventlog.Existing())
	switch {
	case errors.Is(err, eventlog.ErrNoLog):
		return where, "answers; the event log is made when the first service starts that may, or by `blotter nats create`", nil
	case err != nil:
		return where, "", err
	}
	return where, "holds the event log", nil
}

func (o *opener) lookAtIngress(ctx context.Context) (where, state string, err error) {
	where = o.cfg.Places.Ingress
	if where == "" {
		return "none", "the raw bucket is looked into", nil
	}
	if _, _, err := o.entrance(ctx); err != nil {
		return where, "", err
	}
	return where, "there", nil
}
