package localspark

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
)

// errDied: the session ended before it answered.
var errDied = errors.New("the Spark session died")

// maxAnswer bounds a line of the session.
const maxAnswer = 1 << 20

// request is one line to the session.
type request struct {
	Run    int64  `json:"run,omitempty"`
	Plan   string `json:"plan,omitempty"`
	Stage  string `json:"stage,omitempty"`
	Cancel int64  `json:"cancel,omitempty"`
}

// answer is one line of it.
type answer struct {
	Ready bool   `json:"ready"`
	Run   int64  `json:"run"`
	Error string `json:"error"`
	// Machine: the fault is of this machine, and of no file.
	Machine bool `json:"machine"`
}

// session is one child process with Spark.
type session struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	stop  time.Duration
	ended chan struct{} // closed when the process is gone

	closed atomic.Bool // its end is wanted

	mu      sync.Mutex
	next    int64
	waiting map[int64]chan answer // each takes one
}

// start starts a session and waits until it takes requests.
func start(ctx context.Context, cfg Config, logger *slog.Logger) (*session, error) {
	args := append([]string{}, cfg.Command[1:]...)
	args = append(args, "--cores", strconv.Itoa(cfg.Cores), "--scratch", cfg.Scratch,
		"--shuffle-bytes", strconv.FormatInt(cfg.ShuffleBytes, 10))
	if len(cfg.Positions) > 0 {
		positions, err := json.Marshal(cfg.Positions)
		if err != nil {
			return nil, fmt.Errorf("start the Spark session: %w", err)
		}
		args = append(args, "--positions", string(positions))
	}
	args = append(args, "--")
	cmd := exec.Command(cfg.Command[0], append(args, cfg.Rows...)...)
	cmd.WaitDelay = cfg.StopTimeout
	ownGroup(cmd)
	stderr := &tail{}
	cmd.Stderr = stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the Spark session: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the Spark session: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the Spark session: %w", err)
	}
	s := &session{cmd: cmd, stdin: stdin, stop: cfg.StopTimeout, ended: make(chan struct{}), waiting: map[int64]chan answer{}}
	ready := make(chan answer, 1)
	s.waiting[0] = ready
	go s.listen(stdout, stderr, logger)
	timer := time.NewTimer(cfg.StartTimeout)
	defer timer.Stop()
	select {
	case <-ready:
		return s, nil
	case <-s.ended:
		return nil, fmt.Errorf("start the Spark session: it ended: %s", stderr.last())
	case <-ctx.Done():
		s.kill()
		return nil, ctx.Err()
	case <-timer.C:
		s.kill()
		return nil, fmt.Errorf("start the Spark session: it was not ready within %s", cfg.StartTimeout)
	}
}

// listen hands answers to those who wait, until the process ends.
func (s *session) listen(stdout io.Reader, stderr *tail, logger *slog.Logger) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			break // it speaks of something else: it is of no more use
		}
		s.mu.Lock()
		to := s.waiting[a.Run]
		delete(s.waiting, a.Run)
		s.mu.Unlock()
		if to != nil {
			to <- a
		}
	}
	s.kill()
	if err := s.cmd.Wait(); err != nil && !s.closed.Load() {
		logger.WarnContext(context.Background(), "Spark session ended", "error", err, "output", stderr.last())
	}
	close(s.ended)
}

// run has the session run a plan. When ctx ends it cancels the run, and kills the
// session if that takes too long.
func (s *session) run(ctx context.Context, uri, stage string) error {
	done := make(chan answer, 1)
	s.mu.Lock()
	s.next++
	id := s.next
	s.waiting[id] = done
	s.mu.Unlock()
	if err := s.send(request{Run: id, Plan: uri, Stage: stage}); err != nil {
		return err
	}
	select {
	case a := <-done:
		return a.fault()
	case <-s.ended:
		return errDied
	case <-ctx.Done():
	}
	if err := s.send(request{Cancel: id}); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	timer := time.NewTimer(s.stop)
	defer timer.Stop()
	select {
	case <-done:
	case <-s.ended:
	case <-timer.C:
		s.kill()
		<-s.ended
	}
	return ctx.Err()
}

func (a answer) fault() error {
	switch {
	case a.Error == "":
		return nil
	case a.Machine:
		return fmt.Errorf("spark: %w: %s", jobs.ErrMachine, a.Error)
	}
	return fmt.Errorf("spark: %s", a.Error)
}

// send writes one request; a session that takes none is of no more use.
func (s *session) send(r request) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("ask the Spark session: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.stdin.Write(append(line, '\n')); err != nil {
		s.kill()
		return fmt.Errorf("%w: %w", errDied, err)
	}
	return nil
}

// alive reports whether the session can take a request.
func (s *session) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// close ends the session at once: nothing of a run counts before its manifest lies
// in the staging bucket.
func (s *session) close() {
	s.closed.Store(true)
	s.kill()
	<-s.ended
}

// tail keeps the end of what a process prints.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
