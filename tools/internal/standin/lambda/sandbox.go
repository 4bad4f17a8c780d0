package lambda

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// invocation is one run of the function.
type invocation struct {
	id, function string
	payload      []byte
	deadline     time.Time
}

// ended is how it came to an end.
type ended struct {
	payload []byte
	failed  bool
	dead    bool // the sandbox is of no more use
	took    time.Duration
	log     string
}

func failure(kind, message string) ended {
	b, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	if err != nil {
		panic(err) // two strings
	}
	return ended{payload: b, failed: true}
}

// newID makes what looks like an id of a request.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// sandbox is one process of the function's program, and the Runtime API that it asks.
type sandbox struct {
	cmd     *exec.Cmd
	api     *http.Server
	next    chan invocation
	exited  chan struct{}
	exit    error // valid when exited is closed
	started time.Time

	mu      sync.Mutex
	ready   time.Time // when the program first asked for work
	current *running
}

// running is the invocation at work.
type running struct {
	id  string
	end chan ended
}

func startSandbox(cfg Config, function, dir string) (*sandbox, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(dir, "tmp-")
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	b := &sandbox{next: make(chan invocation), exited: make(chan struct{})}
	b.api = &http.Server{Handler: b.routes(), ReadHeaderTimeout: time.Minute}
	go func() { _ = b.api.Serve(listener) }() // kill ends it
	b.cmd = exec.Command(cfg.Program)
	b.cmd.Env = append(append(os.Environ(), cfg.Env...),
		"AWS_LAMBDA_RUNTIME_API="+listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME="+function,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(cfg.MemoryMB), "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023", "_HANDLER=bootstrap", "TMPDIR="+tmp)
	b.cmd.Stderr = os.Stderr
	b.started = time.Now()
	if err := b.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the function's program: %w", err), b.api.Close())
	}
	go func() {
		b.exit = b.cmd.Wait()
		close(b.exited)
	}()
	return b, nil
}

const apiVersion = "/2018-06-01/runtime/"

// routes is the Runtime API.
func (b *sandbox) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+apiVersion+"invocation/next", b.giveNext)
	mux.HandleFunc("POST "+apiVersion+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { b.take(w, r, false) })
	mux.HandleFunc("POST "+apiVersion+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { b.take(w, r, true) })
	return mux
}

// giveNext answers the program's question for work, when there is some.
func (b *sandbox) giveNext(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	if b.ready.IsZero() {
		b.ready = time.Now()
	}
	b.mu.Unlock()
	select {
	case i := <-b.next:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:"+i.function)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(i.payload) // a program that is gone is noticed by its end
	case <-r.Context().Done():
	}
}

// take takes what the program says of the invocation at work.
func (b *sandbox) take(w http.ResponseWriter, r *http.Request, failed bool) {
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || len(payload) > maxPayload || b.current == nil || b.current.id != r.PathValue("id") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.current.end <- ended{payload: payload, failed: failed}
	b.current = nil
	w.WriteHeader(http.StatusAccepted)
}

// run has the program do one invocation. A program that dies or takes too long is told
// of as Lambda does, and the sandbox is of no more use.
func (b *sandbox) run(ctx context.Context, i invocation, timeout time.Duration) (end ended) {
	began := time.Now()
	defer func() { end.took = time.Since(began) }()
	i.deadline = began.Add(timeout)
	current := &running{id: i.id, end: make(chan ended, 1)}
	b.mu.Lock()
	b.current = current
	b.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	next := b.next
	for {
		select {
		case next <- i:
			next = nil
			continue
		case end = <-current.end:
			return end
		case <-b.exited:
			end = failure("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %v", i.id, b.exit))
		case <-timer.C:
			end = failure("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", i.id, timeout.Seconds()))
		case <-ctx.Done():
			end = failure("Sandbox.Closed", ctx.Err().Error())
		}
		b.kill()
		end.dead = true
		return end
	}
}

// kill ends the program and waits for its end.
func (b *sandbox) kill() {
	_ = b.cmd.Process.Kill() // it may have ended by itself
	<-b.exited
	_ = b.api.Close()
}

// initTook is how long the program took until it asked for work.
func (b *sandbox) initTook() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ready.IsZero() {
		return 0
	}
	return b.ready.Sub(b.started)
}

// maxRSS is the most that the program ever had resident, in bytes; 0 where the system
// does not tell.
func (b *sandbox) maxRSS() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// ticksPerSecond is the unit in which Linux tells of processor time.
const ticksPerSecond = 100

// cpu is the processor time that the program has used; 0 where the system does not tell.
func (b *sandbox) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The name stands in parentheses, and may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}
