package lockmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// CommandSubject and the name of a command is where operators' commands are asked for: outside of the
// log, which keeps all subjects that begin with "blotter.".
const CommandSubject = "command.lock-manager"

// commandTimeout bounds the work of one command.
const commandTimeout = 30 * time.Second

// CommandRequest is what an operator's request carries, as JSON.
type CommandRequest struct {
	ID     string `json:"id"`     // carried out once; a repeated request gets the same answer
	Actor  string `json:"actor"`  // who: "operator:<name>"
	Reason string `json:"reason"` // why
	Table  string `json:"table"`  // <db>.<table>

	Flag    string `json:"flag,omitempty"`    // of "flag": L, G, auto or P
	Force   bool   `json:"force,omitempty"`   // of "pause"
	Mode    string `json:"mode,omitempty"`    // of "resume": "", "retry" or "skip"
	Confirm bool   `json:"confirm,omitempty"` // of "load-complete"
	// AcceptLoss, of "resume", has the table go on from what the lake has.
	AcceptLoss bool `json:"accept_loss,omitempty"`
	// WithoutOlder, of "load-complete", leaves out what an earlier load left behind.
	WithoutOlder bool `json:"without_older,omitempty"`
	// Mended, of "load-complete", puts files that came again into the load they were given up from.
	Mended bool `json:"mended,omitempty"`
	// Files, of "unskip", are the ids of those that were skipped, or whose rows were lost.
	Files []dms.FileID `json:"files,omitempty"`
	// Check, of "apply", says what would be said and does nothing.
	Check bool            `json:"check,omitempty"`
	Spec  *registry.Table `json:"spec,omitempty"` // of "apply"
}

// CommandReply is the answer.
type CommandReply struct {
	Detail  string `json:"detail"`            // what was done
	Refused string `json:"refused,omitempty"` // why nothing was done, and what to do
}

// commands are the endpoints: their names, and what makes a command of a request.
var commands = map[string]struct {
	effect string
	sample string
	make   func(CommandRequest) (Command, error)
}{
	"apply": {"registers a table or a new version of its registration",
		`{"id":"1","actor":"operator:me","table":"rms.reports","spec":{…}}`, nil},
	"flag": {"chooses the engine of a table: L or G",
		`{"id":"2","actor":"operator:me","reason":"too large for Lambda","table":"rms.reports","flag":"G"}`, makeFlag},
	"pause": {"stops grants of a table; with force its running transaction is fenced",
		`{"id":"3","actor":"operator:me","reason":"source maintenance","table":"rms.reports"}`,
		func(r CommandRequest) (Command, error) { return Pause{r.order(), r.Force}, nil }},
	"resume": {"lets a paused table go on, its quarantined files retried or skipped",
		`{"id":"4","actor":"operator:me","reason":"file mended","table":"rms.reports","mode":"retry"}`, makeResume},
	"unskip": {"takes files in after all that were skipped, or again whose rows were lost",
		`{"id":"9","actor":"operator:me","reason":"skipped by mistake","table":"rms.reports","files":["1f3a…"]}`,
		func(r CommandRequest) (Command, error) { return Unskip{r.order(), r.Files}, nil }},
	"load-complete": {"seals the open load of a table",
		`{"id":"5","actor":"operator:me","reason":"task stopped","table":"rms.reports"}`,
		func(r CommandRequest) (Command, error) {
			return LoadComplete{Order: r.order(), Confirm: r.Confirm, WithoutOlder: r.WithoutOlder, Mended: r.Mended}, nil
		}},
	"load-reopen": {"takes late load files into their load",
		`{"id":"6","actor":"operator:me","reason":"copied late","table":"rms.reports"}`,
		func(r CommandRequest) (Command, error) { return LoadReopen{r.order()}, nil }},
	"hold-rebuild": {"makes the hold queue of a table what its state says",
		`{"id":"8","actor":"operator:me","table":"rms.reports"}`, nil},
	"load-ignore": {"refuses late load files",
		`{"id":"7","actor":"operator:me","reason":"left over","table":"rms.reports"}`,
		func(r CommandRequest) (Command, error) { return LoadIgnore{r.order()}, nil }},
	"maintain": {"has a table maintained in the lake as soon as nothing else runs",
		`{"id":"8","actor":"operator:me","reason":"slow to read","table":"rms.reports"}`,
		func(r CommandRequest) (Command, error) { return Maintain{r.order()}, nil }},
}

func (r CommandRequest) order() Order { return Order{ID: r.ID, Reason: r.Reason} }

func makeFlag(r CommandRequest) (Command, error) {
	switch r.Flag {
	case "L":
		return SetFlag{Order: r.order(), Engine: blotterv1.Engine_ENGINE_LAMBDA}, nil
	case "G":
		return SetFlag{Order: r.order(), Engine: blotterv1.Engine_ENGINE_GLUE}, nil
	case registry.RouteAuto:
		return SetFlag{Order: r.order(), Auto: true}, nil
	case "P":
		return Pause{Order: r.order()}, nil
	}
	return nil, refuse("flag %q: expected L (Lambda), G (Glue), auto (by size) or P (paused)", r.Flag)
}

func makeResume(r CommandRequest) (Command, error) {
	switch mode := ResumeMode(r.Mode); mode {
	case ResumePlain, ResumeRetry, ResumeSkip:
		return Resume{r.order(), mode, r.AcceptLoss}, nil
	}
	return nil, refuse("resume mode %q: expected retry or skip", r.Mode)
}

// Serve answers commands on nc as a NATS micro service, which `nats service ls`
// and `nats req` show and use. It returns when ctx ends.
func (s *Service) Serve(ctx context.Context, nc *nats.Conn) error {
	svc, err := micro.AddService(nc, micro.Config{
		Name: ServiceName, Version: "1.0.0",
		Description: "the state of every table: commands that change it",
	})
	if err != nil {
		return fmt.Errorf("add the command service: %w", err)
	}
	defer func() { _ = svc.Stop() }()
	for name, command := range commands {
		err := svc.AddEndpoint(name, eventlog.Requests(func(r micro.Request) { s.answer(ctx, name, r) }),
			micro.WithEndpointSubject(CommandSubject+"."+name),
			micro.WithEndpointMetadata(map[string]string{"effect": command.effect, "sample": command.sample}))
		if err != nil {
			return fmt.Errorf("add the endpoint %s: %w", name, err)
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *Service) answer(ctx context.Context, name string, r micro.Request) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var req CommandRequest
	if err := json.Unmarshal(r.Data(), &req); err != nil {
		_ = r.Error("400", "the request is not the JSON of a command: "+err.Error(), nil)
		return
	}
	reply, err := s.Execute(ctx, name, req)
	if err != nil {
		s.deps.Logger.ErrorContext(ctx, "carry out a command", "command", name, "table", req.Table, "error", err)
		_ = r.Error("500", err.Error(), nil)
		return
	}
	_ = r.RespondJSON(reply)
}

// Execute carries out one command request by name. A refusal is in the reply;
// an error means that nothing is known of the outcome: ask again with the same id.
func (s *Service) Execute(ctx context.Context, name string, req CommandRequest) (CommandReply, error) {
	detail, err := s.execute(ctx, name, req)
	if errors.Is(err, ErrRefused) {
		return CommandReply{Refused: err.Error()}, nil
	}
	return CommandReply{Detail: detail}, err
}

func (s *Service) execute(ctx context.Context, name string, req CommandRequest) (string, error) {
	command, ok := commands[name]
	if !ok {
		return "", refuse("there is no command %q", name)
	}
	table, err := dms.ParseTableID(req.Table)
	if err != nil {
		return "", refuse("%v", err)
	}
	if req.ID == "" || req.Actor == "" {
		return "", refuse("a command needs an id and an actor")
	}
	switch name {
	case "apply":
		return s.registerTable(ctx, table, req)
	case "hold-rebuild":
		return s.rebuildHold(ctx, table)
	}
	c, err := command.make(req)
	if err != nil {
		return "", err
	}
	return s.Command(ctx, table, req.Actor, c)
}
