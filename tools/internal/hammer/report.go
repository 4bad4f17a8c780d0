package hammer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is what a run did and found.
type Report struct {
	Seed       uint64
	Histories  int // those that were played, in a sum of reports
	Replicas   int
	Tables     int
	Files      int // raw objects, each version
	Deliveries int // of them, repeated ones included
	Restarts   int // of a NATS server
	Kills      int // of processes, whatever they were doing; deaths at a step are Faults
	Exits      int // of processes that gave up by themselves after a fault
	Took       time.Duration

	// Faults counts what was done to the system, Steps what was done to each of its
	// steps, Visits how often each was passed.
	Faults map[Fault]int
	Steps  map[string]map[Fault]int
	Visits map[string]int

	// Conflicts counts the publishes that came second, by the server's code.
	Conflicts map[string]int

	// Of the log: all events, and some of them by their reason.
	Events  int
	Spans   int // of its archive
	Commits int // that made rows visible
	Fences  map[string]int
	Pauses  map[string]int
	// Ends counts the files by the status in which they ended, Late the load files
	// that came after their load was sealed, Snapshots the snapshots that were read.
	Ends      map[string]int
	Late      int
	Snapshots int

	// Violations tell what does not hold; empty if all does.
	Violations []string
}

func newReport(cfg Config) Report {
	return Report{
		Seed: cfg.Seed, Replicas: cfg.Replicas, Tables: cfg.Tables,
		Faults: map[Fault]int{}, Steps: map[string]map[Fault]int{}, Visits: map[string]int{},
		Conflicts: map[string]int{}, Fences: map[string]int{}, Pauses: map[string]int{}, Ends: map[string]int{},
	}
}

// count takes in what a plan did.
func (r *Report) count(p *plan) {
	visits, strikes, codes := p.counts()
	for code, n := range codes {
		r.Conflicts["code "+strconv.Itoa(code)] += n
	}
	maps.Copy(r.Visits, visits)
	for s, n := range strikes {
		r.Faults[s.fault] += n
		if r.Steps[s.step] == nil {
			r.Steps[s.step] = map[Fault]int{}
		}
		r.Steps[s.step][s.fault] += n
	}
}

// Add takes in what another run did and found.
func (r *Report) Add(o Report) {
	sum := func(to *map[string]int, from map[string]int) {
		if *to == nil {
			*to = map[string]int{}
		}
		for k, n := range from {
			(*to)[k] += n
		}
	}
	for _, n := range []struct {
		to   *int
		from int
	}{
		{&r.Histories, max(1, o.Histories)}, {&r.Tables, o.Tables}, {&r.Files, o.Files}, {&r.Deliveries, o.Deliveries}, {&r.Restarts, o.Restarts}, {&r.Exits, o.Exits}, {&r.Kills, o.Kills},
		{&r.Events, o.Events}, {&r.Spans, o.Spans}, {&r.Commits, o.Commits}, {&r.Late, o.Late}, {&r.Snapshots, o.Snapshots},
	} {
		*n.to += n.from
	}
	sum(&r.Visits, o.Visits)
	sum(&r.Conflicts, o.Conflicts)
	sum(&r.Fences, o.Fences)
	sum(&r.Pauses, o.Pauses)
	sum(&r.Ends, o.Ends)
	if r.Faults == nil {
		r.Faults, r.Steps = map[Fault]int{}, map[string]map[Fault]int{}
	}
	for f, n := range o.Faults {
		r.Faults[f] += n
	}
	for step, faults := range o.Steps {
		if r.Steps[step] == nil {
			r.Steps[step] = map[Fault]int{}
		}
		for f, n := range faults {
			r.Steps[step][f] += n
		}
	}
	for _, v := range o.Violations {
		r.Violations = append(r.Violations, fmt.Sprintf("seed %d: %s", o.Seed, v))
	}
	r.Took += o.Took
}

// Line tells of a run in one line.
func (r Report) Line() string {
	verdict := "all invariants hold"
	if n := len(r.Violations); n > 0 {
		verdict = fmt.Sprintf("%d VIOLATIONS", n)
	}
	return fmt.Sprintf("seed %d: %d replicas, %d files, %d deliveries, %d events, %d commits; %s, %d kills, %d restarts; %d fences; %s; %.1f s",
		r.Seed, r.Replicas, r.Files, r.Deliveries, r.Events, r.Commits, counted(r.Faults), r.Kills, r.Restarts, total(r.Fences), verdict, r.Took.Seconds())
}

// Write tells of all that was done and found.
func (r Report) Write(w io.Writer) {
	fmt.Fprintf(w, "histories:   %d\n%d tables, %d files, %d deliveries, %d events, %d commits, %d snapshots read back\n",
		r.Histories, r.Tables, r.Files, r.Deliveries, r.Events, r.Commits, r.Snapshots)
	fmt.Fprintf(w, "done to it:  %s; %d kills; %d restarts of NATS servers; %d processes gave up after a fault\n",
		counted(r.Faults), r.Kills, r.Restarts, r.Exits)
	fmt.Fprintf(w, "came second: %s\n", counted(r.Conflicts))
	fmt.Fprintf(w, "late loads:  %d\n", r.Late)
	fmt.Fprintf(w, "archived in: %d spans\n", r.Spans)
	fmt.Fprintf(w, "fences:      %s\n", counted(r.Fences))
	fmt.Fprintf(w, "pauses:      %s\n", counted(r.Pauses))
	fmt.Fprintf(w, "files ended: %s\n", counted(r.Ends))
	for _, v := range r.Violations {
		fmt.Fprintf(w, "VIOLATION %s\n", v)
	}
	fmt.Fprintf(w, "%d violations\n", len(r.Violations))
}

// WriteSteps tells what was done at which step.
func (r Report) WriteSteps(w io.Writer) {
	steps := maps.Clone(r.Visits)
	for step := range r.Steps { // of processes whose visits nobody counts
		steps[step] += 0
	}
	for _, step := range slices.Sorted(maps.Keys(steps)) {
		fmt.Fprintf(w, "%7d visits  %-40s %s\n", r.Visits[step], step, counted(r.Steps[step]))
	}
}

func counted[K ~string](m map[K]int) string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%d %s", m[k], k))
	}
	return strings.Join(parts, ", ")
}

func total[K comparable](m map[K]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}
