package eventlog

import (
	"errors"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
)

// everybody may look, and make temporary consumers.
var everybody = []string{
	"$JS.API.CONSUMER.CREATE.BLOTTER.*", "$JS.API.CONSUMER.CREATE.BLOTTER.*.>", "$JS.API.CONSUMER.DELETE.BLOTTER.*", "$JS.API.CONSUMER.INFO.BLOTTER.*",
	"$JS.API.CONSUMER.MSG.NEXT.BLOTTER.*", "$JS.API.STREAM.INFO.BLOTTER", "$JS.API.STREAM.MSG.GET.BLOTTER",
}

// keptFrom is what is denied of the consumers of a service to others, keptByAdmin is what is
// denied to all.
func keptFrom(names ...string) []string {
	var out []string
	for _, n := range names {
		out = append(out, "$JS.API.CONSUMER.CREATE.BLOTTER."+n, "$JS.API.CONSUMER.CREATE.BLOTTER."+n+".>", "$JS.API.CONSUMER.MSG.NEXT.BLOTTER."+n)
	}
	return out
}

func keptByAdmin(names ...string) []string {
	var out []string
	for _, n := range names {
		out = append(out, "$JS.API.CONSUMER.DELETE.BLOTTER."+n)
	}
	return out
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Partitions = 2
	around := Surroundings{Consumers: []string{"curator", "classifier"}, Inbox: "_INBOX.ME", Askers: []string{"_INBOX.A", "_INBOX.B"}}
	all := []string{"classifier-p0", "classifier-p1", "curator-p0", "curator-p1"}
	for name, c := range map[string]struct {
		use                      Use
		publish, deny, subscribe []string // besides what everybody may, and the own inbox
	}{
		"reads": {Use{}, nil, slices.Concat(keptFrom(all...), keptByAdmin(all...)), nil},
		"lists": {Use{Lists: true}, []string{
			"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.CONSUMER.NAMES.BLOTTER", "$JS.API.CONSUMER.LIST.BLOTTER",
		}, slices.Concat(keptFrom(all...), keptByAdmin(all...)), nil},
		"serves": {Use{Publishes: []string{"curator"}, Consumes: []string{"curator"}, Hears: []string{"command.curator.*"}, Answers: true}, []string{
			"blotter.*.*.*.curator.*", "_INBOX.A.>", "_INBOX.B.>",
			"$JS.API.CONSUMER.RESET.BLOTTER.curator-p0", "$JS.ACK.BLOTTER.curator-p0.>",
			"$JS.API.CONSUMER.RESET.BLOTTER.curator-p1", "$JS.ACK.BLOTTER.curator-p1.>",
		}, slices.Concat(keptFrom("classifier-p0", "classifier-p1"), keptByAdmin(all...)), []string{"command.curator.*"}},
		"asks": {Use{Asks: true, Tells: []string{"command.curator.*"}}, []string{"command.curator.*"},
			slices.Concat(keptFrom(all...), keptByAdmin(all...)), nil},
		"creates": {Use{Creates: true}, []string{"$JS.API.STREAM.CREATE.BLOTTER", "$JS.API.STREAM.UPDATE.BLOTTER"}, keptFrom(all...), nil},
		"trims": {Use{Trims: true}, []string{"$JS.API.STREAM.PURGE.BLOTTER"},
			slices.Concat(keptFrom(all...), keptByAdmin(all...)), nil},
		"both": {Use{Consumes: []string{"curator"}}.And(Use{Consumes: []string{"classifier"}, Publishes: []string{"x"}}), []string{
			"blotter.*.*.*.x.*",
			"$JS.API.CONSUMER.RESET.BLOTTER.curator-p0", "$JS.ACK.BLOTTER.curator-p0.>",
			"$JS.API.CONSUMER.RESET.BLOTTER.curator-p1", "$JS.ACK.BLOTTER.curator-p1.>",
			"$JS.API.CONSUMER.RESET.BLOTTER.classifier-p0", "$JS.ACK.BLOTTER.classifier-p0.>",
			"$JS.API.CONSUMER.RESET.BLOTTER.classifier-p1", "$JS.ACK.BLOTTER.classifier-p1.>",
		}, keptByAdmin(all...), nil},
	} {
		got := cfg.Permissions(c.use, around)
		for what, is := range map[string][2][]string{
			"publish":   {got.Publish, slices.Concat(everybody, c.publish)},
			"deny":      {got.Deny, c.deny},
			"subscribe": {got.Subscribe, append([]string{"_INBOX.ME.>"}, c.subscribe...)},
		} {
			if want := distinct(is[1]); !slices.Equal(is[0], want) {
				t.Errorf("who %s may %s\n%q\nexpected\n%q", name, what, is[0], want)
			}
		}
	}
}

func TestDeniedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for subject, says := range map[string]string{
		"$JS.API.STREAM.CREATE.BLOTTER":                "there is no event log yet; make it as the user admin with `blotter nats create`",
		"$JS.API.STREAM.PURGE.BLOTTER":                 "what changes the log as a whole is the user admin's; connect with its seed (--nats-nkey)",
		"$JS.API.CONSUMER.DELETE.BLOTTER.curator-p0":   "what changes the log as a whole is the user admin's; connect with its seed (--nats-nkey)",
		"$JS.API.CONSUMER.CREATE.BLOTTER.curator-p0":   "a consumer is its own service's; connect with that one's seed (--nats-nkey)",
		"$JS.ACK.BLOTTER.curator-p0.1.2.3.4.5":         "a consumer is its own service's; connect with that one's seed (--nats-nkey)",
		"command.lock-manager.pause":                   "commands are the user operator's; connect with its seed (--nats-nkey)",
		"blotter.3.rms.reports.curator.FilesPublished": "only curator says this; connect with the seed of whoever may (--nats-nkey)",
		"$JS.API.CONSUMER.LIST.BLOTTER":                "`blotter nats users --help` tells who may do what; write the users anew after an update, and have the server load them",
		"_INBOX.UAAA.x":                                "`blotter nats users --help` tells who may do what; write the users anew after an update, and have the server load them",
	} {
		e := &DeniedError{User: "UAAA", Verb: "publish to", Subject: subject}
		if want := "the NATS server does not let user UAAA publish to " + subject + ": " + says; e.Error() != want {
			t.Errorf("it says %q\nexpected %q", e.Error(), want)
		}
	}
	if e := error(&DeniedError{Verb: "subscribe to", Subject: "x"}); !errors.Is(e, nats.ErrPermissionViolation) {
		t.Errorf("it is %v", e)
	}
}
