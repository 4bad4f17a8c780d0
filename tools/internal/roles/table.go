package roles

import (
	"context"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	classifier "github.com/openblotter/blotter/services/classifier"
	"github.com/openblotter/blotter/services/curator"
	gluedispatcher "github.com/openblotter/blotter/services/glue-dispatcher"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lambdatransformer "github.com/openblotter/blotter/services/lambda-transformer"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// need is what a role works with, besides the log and the control store, which all of
// them need.
type need int

const (
	needRaw need = 1 << iota
	needStaging
	needFailed
	needHold
	needLake
	needIngress
	needAudit
	needAlerts
)

// role is one service and how a process makes it; run blocks until ctx ends or
// the service fails.
type role struct {
	name  string
	needs need
	make  func(*Process) (run func(ctx context.Context) error, err error)
}

// table lists the roles in the order in which they start: who listens to whom
// starts first, although the log would keep every event for a later start.
var table = []role{
	{curator.ServiceName, needRaw | needStaging | needFailed | needLake | needAudit | needAlerts, func(p *Process) (func(context.Context) error, error) {
		return p.andAlerts(p.andArchive(curator.New(curator.Deps{
			Log: p.Log, Lake: p.Lake, Specs: p.Specs, Raw: p.raw.bucket, Staging: p.staging.bucket, Failed: p.Failed, Now: p.now, Logger: p.logger,
			Agree: func(ctx context.Context, id dms.TableID) error {
				_, err := AgreeWithTable(ctx, p.Store, p.Lake, id, p.logger) // what is behind, the lake refuses itself
				return err
			},
		}).Run)), nil
	}},
	{lambdatransformer.ServiceName, needRaw | needStaging | needFailed, func(p *Process) (func(context.Context) error, error) {
		s, err := lambdatransformer.New(p.cfg.Lambda, lambdatransformer.Deps{
			Log: p.Log, Runner: p.runner, Lambda: p.onLambda, Specs: p.Specs, Now: p.now, Logger: p.logger,
		})
		if err != nil {
			return nil, err
		}
		return s.Run, nil
	}},
	{gluedispatcher.ServiceName, needRaw | needStaging | needFailed | needLake, func(p *Process) (func(context.Context) error, error) {
		s, err := gluedispatcher.New(p.cfg.Glue, gluedispatcher.Deps{
			Log: p.Log, Runner: p.glue, Glue: p.onGlue, Specs: p.Specs, Now: p.now, Logger: p.logger,
		})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return runBoth(ctx, s.Run, p.serve(s.Serve)) }, nil
	}},
	{lockmanager.ServiceName, needHold, func(p *Process) (func(context.Context) error, error) {
		s, err := lockmanager.New(p.cfg.LockManager, lockmanager.Deps{
			Log: p.Log, Store: p.vouched, Hold: p.Hold, Now: p.now, Logger: p.logger,
		})
		if err != nil {
			return nil, err
		}
		p.LockManager = s
		return func(ctx context.Context) error { return runBoth(ctx, s.Run, p.serve(s.Serve)) }, nil
	}},
	{classifier.ServiceName, 0, func(p *Process) (func(context.Context) error, error) {
		return classifier.New(classifier.Deps{Log: p.Log, Specs: p.Specs, Now: p.now}).Run, nil
	}},
	{ingestrouter.ServiceName, needRaw | needFailed | needIngress, func(p *Process) (func(context.Context) error, error) {
		s := ingestrouter.New(ingestrouter.Deps{
			Log: p.Log, Objects: p.Store, Specs: p.Specs, Raw: p.Raw, Failed: p.Failed, Transform: p.cfg.Transform, Now: p.now, Logger: p.logger,
		})
		p.IngestRouter = s
		loops := []func(context.Context) error{s.Run, p.serve(s.Serve)}
		if p.queue != nil {
			e, err := ingestrouter.NewEntrypoint(p.cfg.Entrypoint, s, ingestrouter.EntrypointDeps{
				Queue: p.queue, Tasks: p.tasks, Executions: p.Store,
				RunChanged: func(run string) error { return jobs.TellRunChanged(p.nc, run) },
			})
			if err != nil {
				return nil, err
			}
			p.entrypoint = e
			loops = append(loops, e.Run)
		}
		return func(ctx context.Context) error { return runBoth(ctx, loops...) }, nil
	}},
}

// opened are the places that a need has a process open.
var opened = map[string]need{
	"raw": needRaw, "staging": needStaging, "failed": needFailed, "lake": needLake, "catalog": needLake,
	"hold": needHold, "audit": needAudit, "ingress": needIngress, "alerts": needAlerts,
}

// Opens gives the names of the places that a role opens, in the order of PlaceList;
// none if there is no such role.
func Opens(name string) []string {
	r, is := find(name)
	if !is {
		return nil
	}
	var places []string
	for _, p := range PlaceList() {
		if n, some := opened[p.Name]; !some || r.needs&n != 0 {
			places = append(places, p.Name)
		}
	}
	return places
}

func find(name string) (role, bool) {
	for _, r := range table {
		if r.name == name {
			return r, true
		}
	}
	return role{}, false
}

// Names lists the roles in the order in which they start.
func Names() []string {
	names := make([]string, len(table))
	for i, r := range table {
		names[i] = r.name
	}
	return names
}
