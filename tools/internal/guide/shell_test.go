package guide

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestCommandsOfAWS: what nobody but an account can try is a script that a shell reads, and
// calls the AWS CLI by names that look like those of it; links lead to pages that there are.
func TestCommandsOfAWS(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"account.md", "nats-ec2.md"} {
		blocks, prose := readPage(t, "../../../deploy/guide/"+page)
		checkCommands(t, prose)
		tried := 0
		for _, b := range blocks {
			if !b.is("sh", "aws") {
				continue
			}
			tried++
			shell := exec.CommandContext(t.Context(), "bash", "-n")
			shell.Stdin = strings.NewReader(b.text)
			if out, err := shell.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", b, err, out)
			}
			for _, m := range regexp.MustCompile(`\baws ([^ ]+) ([^ ]+)`).FindAllStringSubmatch(b.text, -1) {
				if !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(m[1]) || !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(m[2]) {
					t.Errorf("%s: %q is no command of the AWS CLI", b, m[0])
				}
			}
		}
		if tried < 6 {
			t.Errorf("%s: %d blocks of commands were read", page, tried)
		}
		for _, m := range regexp.MustCompile(`\]\(([a-z0-9-]+\.md)`).FindAllStringSubmatch(prose, -1) {
			if _, err := os.Stat("../../../deploy/guide/" + m[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
