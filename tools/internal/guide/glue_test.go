package guide

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/openblotter/blotter/pkg/jobs/glue"
	"github.com/openblotter/blotter/pkg/lake"
	gluedispatcher "github.com/openblotter/blotter/services/glue-dispatcher"
	"github.com/openblotter/blotter/services/glue-dispatcher/job"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// TestGluePage holds the page about Glue to what the job and its dispatcher do.
func TestGluePage(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../deploy/guide/glue.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(content)), " ")
	script, err := job.Files.ReadFile("blotter_job.py")
	if err != nil {
		t.Fatal(err)
	}
	tables, runs, grants := lake.DefaultConfig(), glue.DefaultConfig(), lockmanager.DefaultConfig()
	want := []string{
		fmt.Sprintf("another run, %s in all", map[int]string{3: "three"}[runs.Runs]),
		fmt.Sprintf("of %s rows and more", grouped(tables.PositionDeleteRows)),
		fmt.Sprintf("at most %s data files", grouped(int64(tables.PositionDeleteFiles))),
		"`" + lake.CodePositionDeletes + "`", "`" + spark.PythonVariable + "`", "`" + spark.RowsVariable + "`",
		fmt.Sprintf("more than %s MiB is spread", constant(t, script, "SHUFFLE_BYTES", 20)),
		fmt.Sprintf("in waves of %s GiB", constant(t, script, "WAVE_BYTES", 30)),
		fmt.Sprintf("up to %d files of a load, or %d files of changes with %d MiB together",
			grants.GlueLoadFiles, grants.BatchFiles, grants.BatchBytes>>20),
		fmt.Sprintf("is granted %d files of a load at a time", grants.LoadFiles),
		fmt.Sprintf("A file that runs out of time %d times", grants.MaxExpired),
		fmt.Sprintf("has run out of time %d times", grants.MaxExpired),
		fmt.Sprintf("is %d runs", (400+grants.GlueLoadFiles-1)/grants.GlueLoadFiles),
		fmt.Sprintf("stage %d of your files within the %g hours of a grant", grants.GlueLoadFiles, grants.GrantTimeout.Hours()),
		fmt.Sprintf("follows up to %d runs", gluedispatcher.DefaultConfig().Glue.Parallel),
		"| maximum concurrency | tables that", "Where it is a SQLite file",
		fmt.Sprintf("looked for %s long", map[time.Duration]string{time.Minute: "a minute"}[runs.Call+runs.Settle]),
	}
	// Every call that the dispatcher makes needs a right, no other does, and every end
	// has a line.
	var calls []string
	for method := range reflect.TypeFor[glue.API]().Methods() {
		calls = append(calls, "`glue:"+method.Name+"`")
	}
	want = append(want, calls...)
	for _, right := range regexp.MustCompile("`glue:[A-Za-z]+`").FindAllString(page, -1) {
		if !slices.Contains(calls, right) {
			t.Errorf("nobody makes the call %s", right)
		}
	}
	for _, state := range types.JobRunState("").Values() {
		if !slices.Contains([]types.JobRunState{"STARTING", "RUNNING", "STOPPING", "WAITING"}, state) {
			want = append(want, "`"+string(state)+"`")
		}
	}
	for _, part := range want {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	for _, argument := range regexp.MustCompile("`(--blotter_[a-z]+)`").FindAllStringSubmatch(page, -1) {
		known := strings.Contains(string(script), `"`+argument[1]+`"`) || argument[1] == "--blotter_attempt" // for people
		if !known {
			t.Errorf("the job has no argument %s", argument[1])
		}
	}
	commands := string(content)
	for _, line := range regexp.MustCompile(`(?m)^blotter .*$`).FindAllString(commands, -1) { // of blocks
		commands += "`" + line + "`"
	}
	checkCommands(t, commands)
	checkBuilds(t, string(content))
}

// constant reads a number of the script that is shifted by so many bits.
func constant(t *testing.T, script []byte, name string, bits int) string {
	t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`(?m)^%s = (\d+) << %d$`, name, bits)).FindSubmatch(script)
	if m == nil {
		t.Fatalf("the job has no %s", name)
	}
	return string(m[1])
}

// grouped writes a number with commas.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// checkBuilds checks that what the page has built are programs.
func checkBuilds(t *testing.T, content string) {
	t.Helper()
	builds := regexp.MustCompile(`(?m)^.*go build -o \S+((?: \./\S+)+)$`).FindAllStringSubmatch(content, -1)
	if len(builds) == 0 {
		t.Error("the page builds nothing")
	}
	for _, b := range builds {
		list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", "{{.Name}}"}, strings.Fields(b[1])...)...)
		list.Dir = "../../.."
		out, err := list.CombinedOutput()
		if err != nil || strings.Trim(string(out), "main\n") != "" {
			t.Errorf("%s: %v: %s", b[0], err, out)
		}
	}
}
