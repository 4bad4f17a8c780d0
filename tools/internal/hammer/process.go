package hammer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// process is this program again, as a part of a history. It ends when this process
// does: its input is a pipe from here.
type process struct {
	cmd   *exec.Cmd
	in    io.Closer
	ended chan struct{}
	err   error // once it has ended
}

// startProcess starts one with a variable in its environment; it logs into a file, and
// tells each line that it prints.
func startProcess(log, variable string, tell func(line string)) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	logFile, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of a process: %w", err)
	}
	defer logFile.Close()
	p := &process{cmd: exec.Command(self), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), variable)
	p.cmd.Stderr = logFile
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	p.in = in
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			tell(lines.Text())
		}
		p.err = errors.Join(lines.Err(), p.cmd.Wait())
	}()
	return p, nil
}

// kill ends it by kill -9 and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
	_ = p.in.Close()
}

// pause has it stand still, and go on.
func (p *process) pause() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) goOn() error  { return p.cmd.Process.Signal(syscall.SIGCONT) }

// killed reports whether it died by a signal, not by its own end.
func (p *process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}
