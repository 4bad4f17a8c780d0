//go:build unix

package localspark

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the session and all that it starts into a process group, so that
// none of them outlives it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// kill ends the session at once, and the Java and Python processes below it.
func (s *session) kill() {
	// It fails only where nothing is left to kill.
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
}
