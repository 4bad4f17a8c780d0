package lambda

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Config says what function there is.
type Config struct {
	// Program is the path of the function's bootstrap.
	Program string
	// MemoryMB is the size that the function is told of; Timeout how long a run may take.
	MemoryMB int
	Timeout  time.Duration
	// Sandboxes is how many run at once at most.
	Sandboxes int
	// Env is the function's own environment, as NAME=value.
	Env []string
}

// maxPayload bounds what an invocation may send, and a function answer: Lambda's own
// bound of synchronous ones.
const maxPayload = 6 << 20

// Server answers for Lambda on an address of this machine.
type Server struct {
	cfg    Config
	http   *http.Server
	url    string
	ctx    context.Context // of asynchronous invocations
	cancel context.CancelFunc
	async  sync.WaitGroup
	slots  chan struct{}
	dir    string

	mu   sync.Mutex
	idle []*sandbox
	all  map[*sandbox]struct{}
	runs []Run
}

// Run tells of one invocation that has ended.
type Run struct {
	Cold     bool          // it began with the start of a sandbox
	Init     time.Duration // from that until the program asked for work
	Duration time.Duration
	MaxRSS   int64         // bytes: the most that the sandbox ever had resident
	CPU      time.Duration // that the sandbox has used since its start
}

// Start starts a server. Close it.
func Start(cfg Config) (*Server, error) {
	if cfg.Program == "" || cfg.MemoryMB < 1 || cfg.Timeout <= 0 || cfg.Sandboxes < 1 {
		return nil, errors.New("stand in for Lambda: a program, memory, a timeout and sandboxes are needed")
	}
	dir, err := os.MkdirTemp("", "blotter-lambda-")
	if err != nil {
		return nil, fmt.Errorf("stand in for Lambda: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("stand in for Lambda: %w", err), os.RemoveAll(dir))
	}
	s := &Server{cfg: cfg, url: "http://" + listener.Addr().String(), slots: make(chan struct{}, cfg.Sandboxes), dir: dir, all: map[*sandbox]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{Handler: http.HandlerFunc(s.invoke), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(listener) }() // Close ends it
	return s, nil
}

// URL is the endpoint of Lambda.
func (s *Server) URL() string { return s.url }

// Runs lists the invocations that have ended.
func (s *Server) Runs() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Run(nil), s.runs...)
}

// Close ends all sandboxes, whatever they do.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	s.async.Wait()
	s.mu.Lock()
	boxes := s.all
	s.all, s.idle = map[*sandbox]struct{}{}, nil
	s.mu.Unlock()
	for box := range boxes {
		box.kill()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// invoke answers one call of Invoke.
func (s *Server) invoke(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/")
	name, ok2 := strings.CutSuffix(name, "/invocations")
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	id := newID()
	w.Header().Set("X-Amzn-Requestid", id)
	switch {
	case !ok || !ok2 || r.Method != http.MethodPost || err != nil:
		refuse(w, http.StatusBadRequest, "InvalidParameterValueException", "it is no call of Invoke")
		return
	case len(payload) > maxPayload:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", "the payload is too large")
		return
	}
	run := invocation{id: id, function: name, payload: payload}
	if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
		s.async.Go(func() { s.run(s.ctx, run) })
		w.WriteHeader(http.StatusAccepted)
		return
	}
	// A caller who goes away does not end the run.
	end := s.run(s.ctx, run)
	if r.Header.Get("X-Amz-Log-Type") == "Tail" {
		w.Header().Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString([]byte(end.log)))
	}
	if end.failed {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
	}
	_, _ = w.Write(end.payload) // a caller who is gone hears nothing
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"Type": "User", "message": message})
}

// run hands an invocation to a sandbox and waits for its end.
func (s *Server) run(ctx context.Context, i invocation) ended {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return failure("Sandbox.Closed", ctx.Err().Error())
	}
	box, cold, err := s.sandbox(i.function)
	if err != nil {
		return failure("Runtime.InvalidEntrypoint", err.Error())
	}
	end := box.run(ctx, i, s.cfg.Timeout)
	run := Run{Cold: cold, Duration: end.took, MaxRSS: box.maxRSS(), CPU: box.cpu(), Init: box.initTook()}
	end.log = fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB\t\n",
		i.id, float64(end.took)/1e6, end.took.Milliseconds()+1, s.cfg.MemoryMB, run.MaxRSS>>20)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, run)
	if end.dead {
		delete(s.all, box)
	} else {
		s.idle = append(s.idle, box)
	}
	return end
}

// sandbox takes the idle one that was used last, or starts one.
func (s *Server) sandbox(function string) (box *sandbox, cold bool, err error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		box, s.idle = s.idle[n-1], s.idle[:n-1]
		s.mu.Unlock()
		return box, false, nil
	}
	s.mu.Unlock()
	if box, err = startSandbox(s.cfg, function, s.dir); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[box] = struct{}{}
	return box, true, nil
}
