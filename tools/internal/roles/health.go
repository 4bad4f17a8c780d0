package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// healthFile tells where the process that works in a folder is asked how it is.
const healthFile = "health.json"

const (
	// healthTimeout bounds the look of a process at itself.
	healthTimeout = 4 * time.Second
	// healthAnswer bounds an answer in bytes.
	healthAnswer = 1 << 20
)

// Health is how a process of services is.
type Health struct {
	PID   int      `json:"pid"`
	Roles []string `json:"roles"`
	// Faults are what keeps it from its work; none: it does it.
	Faults []string `json:"faults"`
}

// healthAddress is what healthFile holds.
type healthAddress struct {
	PID     int    `json:"pid"`
	Address string `json:"address"` // host and port, on the loopback interface
}

// Health looks whether the roles of this process do their work: they have begun, the
// connection to the log is there and answers, all that they consume is delivered to them,
// and the ingress queue, where one is read, has answered of late. What a store or a bucket
// refuses a role is not looked at: it concerns single files, and stands in the log of the
// process. Nothing is written.
func (p *Process) Health(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	h := Health{PID: os.Getpid(), Roles: []string{}, Faults: []string{}}
	for _, r := range p.roles {
		h.Roles = append(h.Roles, r.Name)
	}
	errs := []error{p.Log.Working(ctx, h.Roles...)}
	if p.entrypoint != nil {
		errs = append(errs, p.entrypoint.Working(p.now()))
	}
	if err := errors.Join(errs...); err != nil {
		h.Faults = strings.Split(err.Error(), "\n")
	}
	return h
}

// TellHealth answers on the loopback interface how this process is, until ctx ends. Where
// it does, a file in the folder tells. It is to start behind the roles.
func (p *Process) TellHealth(ctx context.Context, ready func()) (err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for who asks how the process is: %w", err)
	}
	server := &http.Server{
		ReadHeaderTimeout: healthTimeout, ReadTimeout: healthTimeout, WriteTimeout: 2 * healthTimeout, IdleTimeout: healthTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			h := p.Health(r.Context())
			if len(h.Faults) > 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			_ = json.NewEncoder(w).Encode(h) // who asked may be gone
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	name := p.cfg.path(healthFile)
	defer func() {
		if gone := os.Remove(name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("take back where the process is asked: %w", gone))
		}
	}()
	if err := writeJSON(name, healthAddress{os.Getpid(), listener.Addr().String()}); err != nil {
		return errors.Join(fmt.Errorf("say where the process is asked: %w", err), server.Close())
	}
	ready()
	select {
	case err = <-served:
		return fmt.Errorf("answer who asks how the process is: %w", err)
	case <-ctx.Done():
		return server.Close()
	}
}

// AskHealth asks the process that works in a folder how it is. The error says why it does
// not answer: that it has not come up yet, has ended, or hangs.
func AskHealth(ctx context.Context, dir string) (Health, error) {
	var h Health
	var at healthAddress
	b, err := os.ReadFile(filepath.Join(dir, healthFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, fmt.Errorf("no process has its services running in %s: it has not come up yet, or has ended", dir)
	case err != nil:
		return h, fmt.Errorf("ask the process: %w", err)
	}
	if err := json.Unmarshal(b, &at); err != nil {
		return h, fmt.Errorf("read %s: %w", healthFile, err)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout+time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.Address+"/", nil)
	if err != nil {
		return h, fmt.Errorf("read %s: %w", healthFile, err)
	}
	// Not by way of a proxy, which the environment may name for what lies elsewhere.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return h, fmt.Errorf("process %d does not answer, has it ended or does it hang? %w", at.PID, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(answer.Body, healthAnswer)).Decode(&h); err != nil {
		return h, fmt.Errorf("read the answer of process %d (%s): %w", at.PID, answer.Status, err)
	}
	if h.PID != at.PID {
		return h, fmt.Errorf("process %d has ended: %d answers in its place", at.PID, h.PID)
	}
	return h, nil
}
