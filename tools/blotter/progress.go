package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/tools/internal/tally"
)

// How often progress is shown: moving bars on a terminal, lines elsewhere.
const (
	barsEvery  = 200 * time.Millisecond
	linesEvery = 2 * time.Second
)

// maxReason bounds the reason of a pause on a terminal; the closing table has it whole.
const maxReason = 120

// display shows how far the tables are.
type display interface {
	show(tables []tally.Table)
	say(note string)
	close()
}

// progressView shows a tally at intervals until it is stopped.
type progressView struct {
	quit  chan struct{}
	done  chan struct{}
	notes chan string
}

func newProgress(out io.Writer, t *tally.Tally) *progressView {
	var (
		d     display
		every time.Duration
	)
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		d, every = newBars(f), barsEvery
	} else {
		d, every = &lines{out: out, shown: map[dms.TableID]string{}}, linesEvery
	}
	v := &progressView{quit: make(chan struct{}), done: make(chan struct{}), notes: make(chan string)}
	go v.run(d, every, t)
	return v
}

func (v *progressView) run(d display, every time.Duration, t *tally.Tally) {
	defer close(v.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			d.show(t.Tables())
		case note := <-v.notes:
			d.say(note)
		case <-v.quit:
			d.show(t.Tables())
			d.close()
			return
		}
	}
}

// say shows a note among the progress; an empty one is none. It must not be called
// after stop.
func (v *progressView) say(note string) {
	if note != "" {
		v.notes <- note
	}
}

// stop shows the last state and returns when it is shown.
func (v *progressView) stop() {
	close(v.quit)
	<-v.done
}

// describe says how far a table is, in words.
func describe(t tally.Table) string {
	s := fmt.Sprintf("%d of %s taken in", t.TakenIn(), count(int(t.Arrived), "file"))
	if t.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped", t.Skipped)
	}
	if t.Ignored > 0 {
		s += fmt.Sprintf(", %d ignored", t.Ignored)
	}
	switch {
	case t.Phase != "streaming" && t.Staged == 0:
		s = "a full load begins; " + s
	case t.Phase != "streaming":
		s = fmt.Sprintf("a full load waits for its end, %s read; %s", count(int(t.Staged), "file"), s)
	}
	if t.LoadHeld != "" {
		s += fmt.Sprintf("; its full load is HELD: %s; see: blotter table show '%s'", t.LoadHeld, t.Table)
	}
	if t.Paused != "" {
		s += "; PAUSED: " + t.Paused
	}
	return s
}

// lines prints what has changed, for logs and pipes.
type lines struct {
	out   io.Writer
	shown map[dms.TableID]string
}

func (l *lines) show(tables []tally.Table) {
	for _, t := range tables {
		if t.Arrived == 0 {
			continue
		}
		if s := describe(t); l.shown[t.Table] != s {
			l.shown[t.Table] = s
			fmt.Fprintf(l.out, "%s: %s\n", t.Table, s)
		}
	}
}

func (l *lines) say(note string) { fmt.Fprintln(l.out, note) }

func (l *lines) close() {}

// bars draws a moving bar for each table that has work left, and leaves a line
// for each stretch of work that is done.
type bars struct {
	writer   progress.Writer
	tables   map[dms.TableID]*bar
	rendered chan struct{}
}

// bar is one stretch of a table's work: from idle to idle.
type bar struct {
	tracker *progress.Tracker
	base    int64 // files that had ended when it began
	paused  string
	held    string // its full load
}

func newBars(out io.Writer) *bars {
	w := progress.NewWriter()
	w.SetOutputWriter(out)
	w.SetAutoStop(false)
	w.SetTrackerLength(30)
	w.SetMessageLength(40)
	w.SetUpdateFrequency(barsEvery)
	w.SetStyle(progress.StyleBlocks)
	w.Style().Options.TimeDonePrecision = 10 * time.Millisecond
	w.Style().Options.TimeInProgressPrecision = time.Second
	w.Style().Visibility.ETA = false
	w.Style().Visibility.Speed = false
	b := &bars{writer: w, tables: map[dms.TableID]*bar{}, rendered: make(chan struct{})}
	go func() {
		defer close(b.rendered)
		w.Render()
	}()
	return b
}

func (b *bars) show(tables []tally.Table) {
	for _, t := range tables {
		if t.Arrived > 0 {
			b.showTable(t)
		}
	}
}

func (b *bars) showTable(t tally.Table) {
	current := b.tables[t.Table]
	if current == nil {
		current = &bar{}
		b.tables[t.Table] = current
	}
	if t.Paused != "" && current.paused == "" {
		b.writer.Log("%s is PAUSED: %s; see: blotter table show '%s'", t.Table, text.Snip(t.Paused, maxReason, "…"), t.Table)
	}
	current.paused = t.Paused
	if t.LoadHeld != "" && t.LoadHeld != current.held {
		b.writer.Log("the full load of %s is HELD: %s; see: blotter table show '%s'", t.Table, text.Snip(t.LoadHeld, maxReason, "…"), t.Table)
	}
	current.held = t.LoadHeld
	if current.tracker == nil {
		if t.Arrived <= current.base {
			return
		}
		current.tracker = &progress.Tracker{Total: t.Arrived - current.base}
		b.writer.AppendTracker(current.tracker)
	}
	message := t.Table.String()
	switch {
	case t.Paused != "":
		message += " PAUSED"
	case t.LoadHeld != "":
		message += " load HELD"
	case t.Phase != "streaming":
		message += " full load"
	}
	current.tracker.UpdateMessage(message)
	current.tracker.UpdateTotal(t.Arrived - current.base)
	current.tracker.SetValue(t.Ended() - current.base)
	if t.Ended() >= t.Arrived && t.Phase == "streaming" {
		current.tracker.MarkAsDone()
		current.tracker, current.base = nil, t.Arrived
	}
}

func (b *bars) say(note string) { b.writer.Log("%s", note) }

func (b *bars) close() {
	b.writer.Stop()
	<-b.rendered
}
