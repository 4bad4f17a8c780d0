package roles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// runningFile tells other programs of the process that holds the folder. It is
// only believed while the folder's lock is held.
const runningFile = "running.json"

// Running is what a running process tells of itself.
type Running struct {
	PID int    `json:"pid"`
	URL string `json:"url"` // of its NATS server
}

func (p *Process) announce() error {
	if err := writeJSON(p.cfg.path(runningFile), Running{PID: os.Getpid(), URL: p.URL()}); err != nil {
		return fmt.Errorf("announce the process: %w", err)
	}
	return nil
}

// writeJSON writes a file beside its place and moves it there: whoever reads it sees it
// whole.
func writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", b, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (p *Process) retract() error {
	if err := os.Remove(p.cfg.path(runningFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take the announcement back: %w", err)
	}
	return nil
}

// ReadRunning reads what the process that holds dir told of itself. The error
// is fs.ErrNotExist if it has not told yet.
func ReadRunning(dir string) (Running, error) {
	var r Running
	b, err := os.ReadFile(filepath.Join(dir, runningFile))
	if err != nil {
		return r, fmt.Errorf("ask the running process: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", runningFile, err)
	}
	return r, nil
}
