package glue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Stop implements jobs.Stopper. It looks again while a run that was announced is not
// listed: its start may be on its way (Config.Call), or not listed yet (Config.Settle).
func (r *Runner) Stop(ctx context.Context, grant jobs.FencedGrant, watch jobs.Watch) error {
	if grant.Table.Job.Glue == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.StopWait)
	defer cancel()
	s := stopper{r: r, grant: grant, watch: watch, name: jobName(grant.Table.Job.Glue), told: map[string]bool{}}
	settled := r.deps.Now().Add(r.cfg.Call + r.cfg.Settle)
	if err := s.readAnnounced(ctx); err != nil {
		return err
	}
	for wait := r.cfg.PollMin; ; wait = min(wait*3/2, r.cfg.PollMax) {
		last := !r.deps.Now().Before(settled)
		runs, err := s.round(ctx)
		if err != nil || last || s.listed(runs) {
			return err
		}
		if err := pause(ctx, jitter(wait), nil); err != nil {
			return fmt.Errorf("wait for a run of Glue job %s that was announced: %w", s.name, err)
		}
	}
}

// stopper stops the runs of one grant.
type stopper struct {
	r         *Runner
	grant     jobs.FencedGrant
	watch     jobs.Watch
	name      string          // of the Glue job
	stage     string          // of the grant's runs; empty if its files are not known
	announced int             // the last announced run of the stage
	told      map[string]bool // runs whose end was told
}

// readAnnounced learns which run may have been started last. What is announced later is
// not: whoever announces asks once more whether the token lives.
func (s *stopper) readAnnounced(ctx context.Context) error {
	if len(s.grant.Files) == 0 {
		return nil
	}
	s.stage = jobs.Batch{Table: s.grant.Table, Files: s.grant.Files, Token: s.grant.Token}.Stage()
	var err error
	s.announced, _, err = s.r.lastAnnounced(ctx, s.stage)
	return err
}

// listed reports whether the last announced run is among runs.
func (s *stopper) listed(runs []run) bool {
	return s.announced == 0 || slices.ContainsFunc(runs, func(r run) bool { return r.stage == s.stage && r.attempt >= s.announced })
}

// round stops all runs that are listed, and tells of their ends; it gives them all.
func (s *stopper) round(ctx context.Context) ([]run, error) {
	runs, unseen := s.r.find(ctx, s.name, func(stage string) bool {
		_, ok := s.fileOf(stage)
		return ok
	}, s.grant.Granted)
	if unseen != nil && !errors.Is(unseen, errPages) {
		return nil, unseen
	}
	if s.grant.Granted.IsZero() {
		unseen = nil // what is so old has ended
	}
	alive, ended := split(runs)
	for _, run := range ended { // whoever followed it may have left before it ended
		if err := s.tell(ctx, run); err != nil {
			return nil, err
		}
	}
	stopped, err := s.r.stop(ctx, s.name, alive)
	if err != nil {
		return nil, err
	}
	for _, run := range stopped {
		ended, err := s.r.await(ctx, s.name, run)
		if err != nil {
			return nil, fmt.Errorf("wait for the end of run %s: %w", run.id, err)
		}
		if err := s.tell(ctx, ended); err != nil {
			return nil, err
		}
	}
	return runs, unseen
}

// tell tells of the end of a run, once, for each file of the grant. Of a grant that is not
// known it is told for the file that names the stage.
func (s *stopper) tell(ctx context.Context, run run) error {
	if s.told[run.id] {
		return nil
	}
	files := s.grant.Files
	if run.stage != s.stage {
		file, _ := s.fileOf(run.stage)
		files = []*blotterv1.FileRef{{FileId: file}}
	}
	for _, end := range run.ends(files, s.grant.Token) {
		if err := s.watch.Ended(ctx, end); err != nil {
			return err
		}
	}
	s.told[run.id] = true
	return nil
}

// fileOf reads the file of a stage of the grant.
func (s *stopper) fileOf(stage string) (string, bool) {
	return fileOf(s.grant.Table.ID, s.grant.Token, stage)
}

// fileOf reads the file of a stage of this table and token.
func fileOf(table dms.TableID, token uint64, stage string) (string, bool) {
	const some = "f"
	after := "/" + strconv.FormatUint(token, 10) + "/"
	before := strings.TrimSuffix(transform.StagePrefix(table, some, token), some+after)
	rest, ok := strings.CutPrefix(stage, before)
	if !ok {
		return "", false
	}
	file, ok := strings.CutSuffix(rest, after)
	return file, ok && file != ""
}
