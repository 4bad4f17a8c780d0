package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
)

// memoryPlan says which load files are staged, and in how much memory.
type memoryPlan struct {
	size    byteSize // of the rows as CSV
	bound   byteSize
	formats []loadFormat
	seed    uint64
	program string // that does a stageTask when stageVariable is set
}

// errMemory: all was staged, but not within the bound.
var errMemory = errors.New("more memory than the bound was needed")

// measureMemory stages a load file of each form in a process of its own, and
// prints a line for each. It ends with errMemory after all of them if one took
// more than the bound.
func measureMemory(ctx context.Context, plan memoryPlan, out io.Writer) error {
	fmt.Fprintf(out, "%-8s %10s %10s %10s %8s %8s %10s\n", "format", "rows", "as CSV", "on disk", "seconds", "MB/s", "peak")
	var above error
	for _, format := range plan.formats {
		peak, err := plan.measure(ctx, format, out)
		if err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		if peak > plan.bound {
			above = errMemory
			fmt.Fprintf(out, "FAIL %s: a peak of %s, at most %s\n", format, &peak, &plan.bound)
		}
	}
	if above == nil {
		fmt.Fprintf(out, "ok   each within %s\n", &plan.bound)
	}
	return above
}

// measure stages one load file, and gives the peak of the memory in bytes.
func (plan memoryPlan) measure(ctx context.Context, format loadFormat, out io.Writer) (peak byteSize, err error) {
	dir, err := os.MkdirTemp("", "blotter-bench-")
	if err != nil {
		return 0, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	key := path.Join("dms", "bench", "incidents", format.fileName())
	file, err := writeLoadFile(filepath.Join(dir, "raw", filepath.FromSlash(key)), format, int64(plan.size), plan.seed)
	if err != nil {
		return 0, err
	}
	done, peak, err := plan.stageApart(ctx, stageTask{Dir: dir, Key: key, Registration: format.registration()})
	if err != nil {
		return 0, err
	}
	if done.Rows != file.rows || done.Keys != file.keys {
		return 0, fmt.Errorf("%d rows with %d keys were written, %d with %d staged", file.rows, file.keys, done.Rows, done.Keys)
	}
	plain, disk := byteSize(file.plain), byteSize(file.bytes)
	fmt.Fprintf(out, "%-8s %10d %10s %10s %8.1f %8.1f %10s\n", format, file.rows, &plain, &disk,
		done.Seconds, float64(file.plain)/1e6/done.Seconds, &peak)
	return peak, nil
}

// stageApart does a task in a process of its own.
func (plan memoryPlan) stageApart(ctx context.Context, task stageTask) (done staged, peak byteSize, err error) {
	text, err := json.Marshal(task)
	if err != nil {
		return done, 0, fmt.Errorf("write the task: %w", err)
	}
	cmd := exec.CommandContext(ctx, plan.program)
	cmd.Env = append(os.Environ(), stageVariable+"="+string(text))
	var answer bytes.Buffer
	cmd.Stdout, cmd.Stderr = &answer, os.Stderr
	if err := cmd.Run(); err != nil {
		return done, 0, fmt.Errorf("stage the load file: %w", err)
	}
	if err := json.Unmarshal(answer.Bytes(), &done); err != nil {
		return done, 0, fmt.Errorf("read what was staged: %w", err)
	}
	peak, err = peakMemory(cmd.ProcessState)
	return done, peak, err
}

// peakMemory gives the largest resident memory of a process that has ended. On
// Linux it is no less than this process had when it started the other.
func peakMemory(state *os.ProcessState) (byteSize, error) {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, errors.New("this system does not tell the memory of a process")
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return byteSize(usage.Maxrss), nil // in bytes there, in KiB elsewhere
	}
	return byteSize(usage.Maxrss) << 10, nil
}

// byteSize is a number of bytes, as 512MiB or 1GiB on the command line.
type byteSize int64

// String implements flag.Value.
func (s *byteSize) String() string { return humanize.IBytes(uint64(*s)) }

// Set implements flag.Value.
func (s *byteSize) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<50 {
		return errors.New("expected a size such as 512MiB or 1GiB")
	}
	*s = byteSize(n)
	return nil
}

// formatList is a list of forms on the command line.
type formatList []loadFormat

// String implements flag.Value.
func (l *formatList) String() string {
	var names []string
	for _, f := range *l {
		names = append(names, string(f))
	}
	return strings.Join(names, ",")
}

// Set implements flag.Value.
func (l *formatList) Set(text string) error {
	*l = nil
next:
	for name := range strings.SplitSeq(text, ",") {
		for _, f := range loadFormats {
			if name == string(f) {
				*l = append(*l, f)
				continue next
			}
		}
		return fmt.Errorf("%q is none of %s", name, (*formatList)(&loadFormats))
	}
	return nil
}
