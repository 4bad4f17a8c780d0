//go:build !unix

package localspark

import "os/exec"

// ownGroup has no meaning here: what the session started ends when its pipes do.
func ownGroup(*exec.Cmd) {}

// kill ends the session at once.
func (s *session) kill() {
	// It fails only where nothing is left to kill.
	_ = s.cmd.Process.Kill()
}
