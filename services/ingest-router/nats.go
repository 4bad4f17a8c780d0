package ingestrouter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// ListSubject is where a listing is asked for, with a ListRequest as JSON; the
// answer is a Listed.
const ListSubject = "command.ingest-router.list"

// NotifySubject is where a notification of AWS is handed over as it came; the
// answer is a Notified.
const NotifySubject = "command.ingest-router.notify"

// notifyTimeout bounds the work on one notification.
const notifyTimeout = time.Minute

// ReplaySubject is where mended rows are brought in, with a ReplayRequest as JSON;
// the answer is a Replayed.
const ReplaySubject = "command.ingest-router.replay"

// DismissSubject is where held objects are given up or taken back, with a DismissRequest
// as JSON;
// the answer is a Dismissed.
const DismissSubject = "command.ingest-router.dismiss"

// ReconcileSubject is where a step of a reconcile is asked for, with a ReconcileRequest as
// JSON; the answer is the Place at which it stands then.
const ReconcileSubject = "command.ingest-router.reconcile"

// Serve answers requests on nc as a NATS micro service, which `nats service ls`
// and `nats req` show and use. It returns when ctx ends.
func (s *Service) Serve(ctx context.Context, nc *nats.Conn) error {
	svc, err := micro.AddService(nc, micro.Config{
		Name: ServiceName, Version: "1.0.0", Description: "tells of the objects in the raw bucket",
	})
	if err != nil {
		return fmt.Errorf("add the service of ingest-router: %w", err)
	}
	defer func() { _ = svc.Stop() }()
	err = svc.AddEndpoint("list", eventlog.Requests(func(r micro.Request) { s.answer(ctx, r) }),
		micro.WithEndpointSubject(ListSubject),
		micro.WithEndpointMetadata(map[string]string{
			"effect": "lists the whole raw bucket at once and tells of what no event told; in steps, ask for reconcile",
			"sample": `{"id":"1","actor":"operator:me","reason":"after the outage"}`,
		}))
	if err != nil {
		return fmt.Errorf("add the endpoint list: %w", err)
	}
	err = svc.AddEndpoint("notify", eventlog.Requests(func(r micro.Request) { s.answerNotification(ctx, r) }),
		micro.WithEndpointSubject(NotifySubject),
		micro.WithEndpointMetadata(map[string]string{
			"effect": "tells of the objects that an event of S3 or EventBridge names",
			"sample": `{"source":"aws.s3","detail-type":"Object Created","time":"2024-07-05T08:01:00Z",` +
				`"detail":{"bucket":{"name":"raw"},"object":{"key":"dms/rms/reports/LOAD00000001.csv"}}}`,
		}))
	if err != nil {
		return fmt.Errorf("add the endpoint notify: %w", err)
	}
	err = svc.AddEndpoint("replay", eventlog.Requests(func(r micro.Request) { s.answerReplay(ctx, r) }),
		micro.WithEndpointSubject(ReplaySubject),
		micro.WithEndpointMetadata(map[string]string{
			"effect": "brings in rows that were set aside and are mended",
			"sample": `{"actor":"operator:me","reason":"typing error","table":"rms.reports","key":"rms/reports/…/mended-….jsonl"}`,
		}))
	if err != nil {
		return fmt.Errorf("add the endpoint replay: %w", err)
	}
	if err := errors.Join(s.serveDismissals(ctx, svc), s.serveReconcile(ctx, svc)); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *Service) serveDismissals(ctx context.Context, svc micro.Service) error {
	err := svc.AddEndpoint("dismiss", eventlog.Requests(func(r micro.Request) { s.answerDismissal(ctx, r) }),
		micro.WithEndpointSubject(DismissSubject),
		micro.WithEndpointMetadata(map[string]string{
			"effect": "ignores held objects of tables that nobody wants, or takes that back",
			"sample": `{"actor":"operator:me","reason":"scratch tables","objects":"dms/rms/scratch/"}`,
		}))
	if err != nil {
		return fmt.Errorf("add the endpoint dismiss: %w", err)
	}
	return nil
}

func (s *Service) serveReconcile(ctx context.Context, svc micro.Service) error {
	err := svc.AddEndpoint("reconcile", eventlog.Requests(func(r micro.Request) { s.answerReconcile(ctx, r) }),
		micro.WithEndpointSubject(ReconcileSubject),
		micro.WithEndpointMetadata(map[string]string{
			"effect": `lists a part of the raw bucket and tells of what no event told; ask again with the answer as "at" until its pass is "done"`,
			"sample": `{"id":"1","actor":"operator:me","reason":"after the outage","prefix":"dms/rms/","at":{}}`,
		}))
	if err != nil {
		return fmt.Errorf("add the endpoint reconcile: %w", err)
	}
	return nil
}

func (s *Service) answerReconcile(ctx context.Context, r micro.Request) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var req ReconcileRequest
	if err := json.Unmarshal(r.Data(), &req); err != nil || req.ID == "" || req.Actor == "" {
		_ = r.Error("400", "the request is not the JSON of a step of a reconcile with an id and an actor", nil)
		return
	}
	at, err := s.Reconcile(ctx, req)
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "reconcile the raw bucket", "prefix", req.Prefix, "behind", req.At.Key, "error", err)
		_ = r.Error("500", err.Error(), nil)
		return
	}
	_ = r.RespondJSON(at)
}

func (s *Service) answerDismissal(ctx context.Context, r micro.Request) {
	ctx, cancel := context.WithTimeout(ctx, dismissTimeout)
	defer cancel()
	var req DismissRequest
	if err := json.Unmarshal(r.Data(), &req); err != nil || req.Actor == "" {
		_ = r.Error("400", "the request is not the JSON of a dismissal with an actor", nil)
		return
	}
	done, err := s.Dismiss(ctx, req)
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "dismiss held objects", "objects", req.Objects, "error", err)
		_ = r.Error("500", err.Error(), nil)
		return
	}
	_ = r.RespondJSON(done)
}

func (s *Service) answerReplay(ctx context.Context, r micro.Request) {
	var req ReplayRequest
	if err := json.Unmarshal(r.Data(), &req); err != nil || req.Actor == "" || req.Key == "" {
		_ = r.Error("400", "the request is not the JSON of a mended file with an actor and a key", nil)
		return
	}
	replayed, err := s.Replay(ctx, req)
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "bring in mended rows", "table", req.Table, "key", req.Key, "error", err)
		_ = r.Error("500", err.Error(), nil)
		return
	}
	_ = r.RespondJSON(replayed)
}

func (s *Service) answer(ctx context.Context, r micro.Request) {
	var req ListRequest
	if err := json.Unmarshal(r.Data(), &req); err != nil || req.ID == "" || req.Actor == "" {
		_ = r.Error("400", "the request is not the JSON of a listing with an id and an actor", nil)
		return
	}
	listed, err := s.List(ctx, req)
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "list the raw bucket", "error", err)
		_ = r.Error("500", err.Error(), nil)
		return
	}
	_ = r.RespondJSON(listed)
}

func (s *Service) answerNotification(ctx context.Context, r micro.Request) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	notified, err := s.Notify(ctx, r.Data())
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "take in a notification", "error", err)
		_ = r.Error("500", err.Error(), nil)
		return
	}
	if len(notified.Told) == 0 && len(notified.Faults) > 0 {
		_ = r.Error("400", strings.Join(notified.Faults, "\n"), nil)
		return
	}
	_ = r.RespondJSON(notified)
}
