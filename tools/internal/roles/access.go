package roles

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/services/classifier"
	"github.com/openblotter/blotter/services/curator"
	gluedispatcher "github.com/openblotter/blotter/services/glue-dispatcher"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lambdatransformer "github.com/openblotter/blotter/services/lambda-transformer"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/fsck"
)

// Access is what one part of the system, or one kind of people, does on the NATS server.
type Access struct {
	Name string
	May  string // what that comes to, for people
	Use  eventlog.Use
	// Standard ones get a user without being asked for.
	Standard bool
}

// The names of accesses that are no role's.
const (
	upAccess       = "up"
	operatorAccess = "operator"
	reconcile      = "reconcile"
	auditorAccess  = "auditor"
	adminAccess    = "admin"
)

// answers is the use of a service that answers requests as one of NATS's micro services:
// its own commands, and whoever looks which services there are.
func answers(service string) eventlog.Use {
	use := eventlog.Use{Hears: []string{"command." + service + ".*"}, Answers: true}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		use.Hears = append(use.Hears, "$SRV."+verb, "$SRV."+verb+"."+service, "$SRV."+verb+"."+service+".*")
	}
	return use
}

// works is the use of a service: it publishes its own events, and works with its own
// consumers.
func works(service string, consumers ...string) eventlog.Use {
	return eventlog.Use{Publishes: []string{service}, Consumes: append([]string{service}, consumers...)}
}

// Accesses lists all of them, the roles first and in the order of Names. Whatever anyone
// uses on the server stands here, or in eventlog.Config.Permissions.
func Accesses() []Access {
	all := []Access{
		{curator.ServiceName, "publishes its own events; archives the log", works(curator.ServiceName, curator.AlertsConsumer), true},
		{lambdatransformer.ServiceName, "publishes its own events", works(lambdatransformer.ServiceName, jobs.FencesName(lambdatransformer.ServiceName)), true},
		{gluedispatcher.ServiceName, "publishes its own events; hears that runs of Glue changed",
			works(gluedispatcher.ServiceName, jobs.FencesName(gluedispatcher.ServiceName)).And(eventlog.Use{Hears: []string{jobs.RunChangedSubject}}), true},
		{lockmanager.ServiceName, "publishes its own events; answers commands", works(lockmanager.ServiceName).And(answers(lockmanager.ServiceName)), true},
		{classifier.ServiceName, "publishes its own events", works(classifier.ServiceName), true},
		{ingestrouter.ServiceName, "publishes its own events; answers commands; tells that runs of Glue changed",
			works(ingestrouter.ServiceName, ingestrouter.EndsConsumer).And(answers(ingestrouter.ServiceName)).
				And(eventlog.Use{Tells: []string{jobs.RunChangedSubject}}), true},
	}
	up := eventlog.Use{Lists: true, Creates: true}
	for _, a := range all {
		up = up.And(a.Use)
	}
	repairs := eventlog.Use{Publishes: []string{fsck.ServiceName}, Lists: true}
	return append(all,
		Access{upAccess, "all that the roles may, and makes the log: for `blotter up`", up, false},
		Access{operatorAccess, "gives commands; reads; says what was repaired", repairs.And(eventlog.Use{Asks: true, Tells: []string{
			"command." + lockmanager.ServiceName + ".*", "command." + ingestrouter.ServiceName + ".*", "$SRV.>",
		}}), true},
		Access{reconcile, "has the raw bucket listed, by a schedule; reads", eventlog.Use{Asks: true, Tells: []string{ingestrouter.ReconcileSubject}}, true},
		Access{auditorAccess, "reads, and nothing else", eventlog.Use{Lists: true}, true},
		Access{adminAccess, "makes the log and changes its settings; trims it behind the archive; removes consumers",
			repairs.And(eventlog.Use{Creates: true, Trims: true}), true})
}

// NATSUser is a user of a NATS server: its name, and the accesses that it has together.
type NATSUser struct {
	Name  string
	Parts []string
}

// StandardUsers are those that every deployment has: one for each role, and the people.
func StandardUsers() []NATSUser {
	var users []NATSUser
	for _, a := range Accesses() {
		if a.Standard {
			users = append(users, NATSUser{a.Name, []string{a.Name}})
		}
	}
	return users
}

var userName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,40}$`)

// ParseNATSUser reads NAME=PART,…, or the name of an access alone.
func ParseNATSUser(text string) (NATSUser, error) {
	name, parts, given := strings.Cut(text, "=")
	u := NATSUser{name, strings.Split(parts, ",")}
	if !given {
		u.Parts = []string{name}
	}
	if !userName.MatchString(name) {
		return u, fmt.Errorf("user %q: a name has small letters, digits and hyphens", name)
	}
	known := make(map[string]bool)
	var names []string
	for _, a := range Accesses() {
		known[a.Name] = true
		names = append(names, a.Name)
	}
	for _, p := range u.Parts {
		if !known[p] {
			return u, fmt.Errorf("user %s: there is no part %q; expected some of %s, with commas between", name, p, strings.Join(names, ", "))
		}
	}
	if known[name] && (len(u.Parts) != 1 || u.Parts[0] != name) {
		return u, fmt.Errorf("user %s: the name is that of a part, and would mislead: choose another", name)
	}
	return u, nil
}

// NATSUsers gives what a server has to be told of users: each of their public keys, and
// what it may do with the log of cfg.
func NATSUsers(cfg eventlog.Config, users []NATSUser, keys map[string][]string) []natsauth.User {
	by := make(map[string]Access)
	around := eventlog.Surroundings{}
	for _, a := range Accesses() {
		by[a.Name] = a
		around.Consumers = append(around.Consumers, a.Use.Consumes...)
	}
	uses := make(map[string]eventlog.Use, len(users))
	for _, u := range users {
		for _, p := range u.Parts {
			uses[u.Name] = uses[u.Name].And(by[p].Use)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		for _, key := range keys[name] {
			if uses[name].Asks {
				around.Askers = append(around.Askers, natsauth.Inbox(key))
			}
		}
	}
	var out []natsauth.User
	for _, u := range users {
		what := by[u.Name].May
		if what == "" {
			what = strings.Join(u.Parts, ", ")
		}
		for _, key := range keys[u.Name] {
			around.Inbox = natsauth.Inbox(key)
			out = append(out, natsauth.User{Name: u.Name, What: what, Key: key, Permissions: cfg.Permissions(uses[u.Name], around)})
		}
	}
	return out
}
