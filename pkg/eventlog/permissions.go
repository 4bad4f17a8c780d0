package eventlog

import (
	"slices"
	"strings"
)

// Use is what one user of the NATS server does: with the log, and beside it on the same
// connection. Every user may read the log, and look at its stream and its consumers.
type Use struct {
	// Publishes are the services whose events it publishes.
	Publishes []string
	// Consumes are the services of the durable consumers that it works with, as in
	// ConsumerConfig.Service.
	Consumes []string
	// Lists: it asks which consumers there are, as Idle does.
	Lists bool
	// Creates: it makes the stream, changes its settings, and removes consumers.
	Creates bool
	// Trims: it removes the beginning of the stream.
	Trims bool
	// Hears and Tells are the subjects outside of the log that it subscribes to, and
	// publishes to; wildcards hold.
	Hears, Tells []string
	// Asks: some of what it tells is a request; Answers: some of what it hears is one.
	Asks, Answers bool
}

// And is the use of a user who does both.
func (u Use) And(o Use) Use {
	return Use{
		Publishes: slices.Concat(u.Publishes, o.Publishes), Consumes: slices.Concat(u.Consumes, o.Consumes),
		Lists: u.Lists || o.Lists, Creates: u.Creates || o.Creates, Trims: u.Trims || o.Trims,
		Hears: slices.Concat(u.Hears, o.Hears), Tells: slices.Concat(u.Tells, o.Tells),
		Asks: u.Asks || o.Asks, Answers: u.Answers || o.Answers,
	}
}

// Permissions are subjects that a NATS server lets a user use, sorted; Deny goes before
// Publish.
type Permissions struct {
	Publish, Deny, Subscribe []string
}

// Surroundings are what a user's permissions depend on besides its own use.
type Surroundings struct {
	// Consumers are the services of all durable consumers of the log, of whatever user.
	Consumers []string
	// Inbox is how the subjects begin over which the user is answered; nobody else
	// may subscribe to them.
	Inbox string
	// Askers are the inboxes of all users that ask.
	Askers []string
}

// jsAPI begins the subjects on which JetStream is asked.
const jsAPI = "$JS.API."

// Permissions gives what a user needs on the server for its use, and no more.
//
// Reads take temporary consumers, whose names are made up when they are needed, and
// permissions match whole words of a subject alone. So a user may make and ask any
// consumer but the durable ones of others, which are named one by one; the durable ones
// may be removed by nobody who does not create. What a consumer is told to do stands in
// the request and not in its subject, and no permission holds it: see Requests.
func (c Config) Permissions(u Use, in Surroundings) Permissions {
	var p Permissions
	api := func(call string, rest ...string) string {
		return strings.Join(append([]string{jsAPI + call, c.Stream}, rest...), ".")
	}
	p.Publish = append(p.Publish, api("STREAM.INFO"), api("STREAM.MSG.GET"), api("CONSUMER.INFO", any1),
		api("CONSUMER.CREATE", any1), api("CONSUMER.CREATE", any1, ">"), api("CONSUMER.MSG.NEXT", any1), api("CONSUMER.DELETE", any1))
	for _, service := range u.Publishes {
		p.Publish = append(p.Publish, strings.Join([]string{root, any1, any1, any1, escape(service), any1}, "."))
	}
	if u.Lists {
		p.Publish = append(p.Publish, jsAPI+"INFO", jsAPI+"STREAM.NAMES", jsAPI+"STREAM.LIST", api("CONSUMER.NAMES"), api("CONSUMER.LIST"))
	}
	if u.Creates {
		p.Publish = append(p.Publish, api("STREAM.CREATE"), api("STREAM.UPDATE"))
	}
	if u.Trims {
		p.Publish = append(p.Publish, api("STREAM.PURGE"))
	}
	for _, service := range distinct(slices.Concat(in.Consumers, u.Consumes)) {
		for number := range int(c.Partitions) {
			name := ConsumerName(service, number)
			if slices.Contains(u.Consumes, service) {
				p.Publish = append(p.Publish, api("CONSUMER.RESET", name), strings.Join([]string{"$JS.ACK", c.Stream, name, ">"}, "."))
			} else {
				p.Deny = append(p.Deny, api("CONSUMER.CREATE", name), api("CONSUMER.CREATE", name, ">"), api("CONSUMER.MSG.NEXT", name))
			}
			if !u.Creates {
				p.Deny = append(p.Deny, api("CONSUMER.DELETE", name))
			}
		}
	}
	p.Publish = append(p.Publish, u.Tells...)
	if u.Answers {
		for _, inbox := range in.Askers {
			p.Publish = append(p.Publish, inbox+".>")
		}
	}
	p.Subscribe = append(slices.Clone(u.Hears), in.Inbox+".>")
	return Permissions{distinct(p.Publish), distinct(p.Deny), distinct(p.Subscribe)}
}
