package lockmanager

import (
	"slices"
	"time"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// choice is how the model's operator settles what the machine cannot: drawn by
// the property, fixed by the walk.
type choice struct {
	ignoreLate bool
	skipFirst  bool // never retries
	mended     bool // puts a mended load file into the load that it was given up from
}

// settle takes the next step of an operator who wants the table to run. It
// reports whether there was one to take.
func (w *world) settle(c choice) bool {
	s := w.folded
	if s.Pause != nil {
		return w.settlePause(c)
	}
	if l := s.Load; l != nil && (!l.Sealed || l.HeldReason != "") {
		return w.settleMended(c) || w.complete()
	}
	return false
}

// settleMended reports whether the open load was put into the one before it.
func (w *world) settleMended(c choice) bool {
	return c.mended && w.folded.Load.HeldReason == HeldPart &&
		w.order(func(o Order) Command { return LoadComplete{Order: o, Mended: true} })
}

func (w *world) complete() bool {
	confirm := w.folded.Load.HeldReason != ""
	return w.order(func(o Order) Command { return LoadComplete{Order: o, Confirm: confirm} })
}

func (w *world) settlePause(c choice) bool {
	s := w.folded
	late := slices.ContainsFunc(s.files(func(f *File) bool { return f.Late && f.Status == Waiting }), func(*File) bool { return true })
	switch {
	case late && c.ignoreLate:
		return w.order(func(o Order) Command { return LoadIgnore{o} })
	case late && s.Load != nil && !s.Load.Sealed:
		return w.complete()
	case late:
		return w.order(func(o Order) Command { return LoadReopen{o} }) || w.order(func(o Order) Command { return LoadIgnore{o} })
	}
	quarantined := s.files(func(f *File) bool { return f.Status == Quarantined })
	mode := ResumePlain
	if len(quarantined) > 0 {
		mode = ResumeRetry
	}
	for _, f := range quarantined {
		if id := string(f.ID); c.skipFirst && w.files[id].fault != sound || w.retried[id] {
			mode = ResumeSkip
		} else {
			w.retried[id] = true
		}
	}
	return w.order(func(o Order) Command { return Resume{Order: o, Mode: mode} })
}

// drain lets everything that is under way come to its end, and checks the end.
func (w *world) drain(c choice) {
	for round := 0; len(w.problems) == 0; round++ {
		if round > 400 {
			w.problem("no rest: %s", stateText(w.folded))
			return
		}
		if w.drainOnce(true) || w.settle(c) {
			continue
		}
		if w.folded.Grant != nil {
			w.tick(w.cfg.GrantTimeout + time.Second)
			continue
		}
		break
	}
	if len(w.problems) == 0 {
		w.checkEnd()
	}
}

// rest lets what is known come to its end, while no more files arrive.
func (w *world) rest(c choice) {
	for range 100 {
		if !w.drainOnce(false) && !w.settle(c) {
			return
		}
	}
}

// drainOnce does all work that was never done.
func (w *world) drainOnce(arrivals bool) bool {
	worked := false
	for _, m := range w.bag {
		_, arrival := m.event.(*blotterv1.FileClassified)
		if m.delivered == 0 && (arrivals || !arrival) {
			w.deliver(m)
			worked = true
		}
	}
	for _, t := range w.work {
		if t.runs == 0 {
			w.run(t)
			worked = true
		}
	}
	for _, j := range w.jobs {
		for j.runs == 0 {
			w.curate(j)
			worked = true
		}
	}
	return worked
}

func (w *world) curate(j *job) {
	if j.read < 0 {
		w.read(j)
	} else {
		w.write(j)
	}
}
