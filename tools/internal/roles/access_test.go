package roles

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/pkg/natsauth/natsauthtest"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/services/classifier"
	"github.com/openblotter/blotter/services/curator"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Each role has an access of its name, first and in the same order.
func TestEveryRoleHasAnAccess(t *testing.T) {
	t.Parallel()
	var names []string
	for _, a := range Accesses()[:len(table)] {
		names = append(names, a.Name)
		if !slices.Contains(a.Use.Publishes, a.Name) || len(a.Use.Publishes) != 1 || !slices.Contains(a.Use.Consumes, a.Name) {
			t.Errorf("%s publishes %v and consumes as %v", a.Name, a.Use.Publishes, a.Use.Consumes)
		}
	}
	if !slices.Equal(names, Names()) {
		t.Errorf("the accesses are of %v, the roles are %v", names, Names())
	}
}

func TestParseNATSUser(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]NATSUser{
		"up":                     {"up", []string{"up"}},
		"all=curator,classifier": {"all", []string{"curator", "classifier"}},
		"auditor=auditor":        {"auditor", []string{"auditor"}},
	} {
		if got, err := ParseNATSUser(text); err != nil || got.Name != want.Name || !slices.Equal(got.Parts, want.Parts) {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"All=curator": "small letters", "../x=curator": "small letters", "all=": `no part ""`,
		"all=curator,boss": `no part "boss"`, "auditor=admin": "would mislead", "all": `no part "all"`,
	} {
		if _, err := ParseNATSUser(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// guarded is a server with the standard users.
type guarded struct {
	*natsauthtest.Server
	seeds string
	cfg   eventlog.Config
}

func guard(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{seeds: t.TempDir(), cfg: eventlog.DefaultConfig()}
	g.cfg.Replicas, g.cfg.CallTimeout = 1, time.Second
	keys := map[string][]string{}
	users := StandardUsers()
	for _, u := range users {
		var err error
		if keys[u.Name], _, err = natsauth.Seed(g.seeds, u.Name); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(g.seeds, "users.conf")
	f, err := os.Create(file)
	if err == nil {
		err = errors.Join(natsauth.Render(f, NATSUsers(g.cfg, users, keys)), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	g.Server = natsauthtest.Start(t, file)
	return g
}

func (g *guarded) connect(t *testing.T, user string) *nats.Conn {
	t.Helper()
	options, err := g.Credentials(g.seeds, user).Options()
	if err != nil {
		t.Fatal(err)
	}
	nc, err := eventlog.Connect(g.URL, user, slog.New(slog.DiscardHandler), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func (g *guarded) open(t *testing.T, user string, opts ...eventlog.Option) (*eventlog.Log, *nats.Conn, error) {
	t.Helper()
	nc := g.connect(t, user)
	l, err := eventlog.Open(t.Context(), nc, g.cfg, opts...)
	return l, nc, err
}

func (g *guarded) must(t *testing.T, user string) (*eventlog.Log, *nats.Conn) {
	t.Helper()
	l, nc, err := g.open(t, user)
	if err != nil {
		t.Fatal(err)
	}
	return l, nc
}

var guardedTable = dms.TableID{DB: "rms", Table: "reports"}

// said is an event in the name of a service.
func said(service, id string) eventlog.Event {
	return eventlog.Event{
		Table: guardedTable, Service: service, ID: eventlog.ID(service, guardedTable, "TablePaused", id), Actor: "test",
		Time: time.Unix(0, 0), Message: &blotterv1.TablePaused{Reason: "test"},
	}
}

// TestEveryAccessWorks has each user do with the log all that its use says, and the
// server refuse nothing.
func TestEveryAccessWorks(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.must(t, adminAccess)
	for _, a := range Accesses() {
		if !a.Standard {
			continue
		}
		l, _ := g.must(t, a.Name)
		for _, service := range a.Use.Publishes {
			for n := range 40 { // more than are looked for one by one
				if _, err := l.PublishOnce(t.Context(), said(service, strconv.Itoa(n))); err != nil {
					t.Fatalf("%s as %s: %v", service, a.Name, err)
				}
			}
			again, _ := g.must(t, a.Name)
			if _, err := again.PublishOnce(t.Context(), said(service, "last")); err != nil {
				t.Fatalf("%s as %s: %v", service, a.Name, err)
			}
		}
		for _, name := range a.Use.Consumes {
			ctx, cancel := context.WithCancel(t.Context())
			err := l.Consume(ctx, eventlog.ConsumerConfig{Service: name, From: []string{curator.ServiceName}}, func(context.Context, eventlog.Record) error {
				cancel()
				return nil
			})
			if err != nil {
				t.Fatalf("consume as %s: %v", name, err)
			}
			cancel()
		}
		events := 0
		for _, err := range l.Read(t.Context(), eventlog.Filter{Table: guardedTable}) {
			if err != nil {
				t.Fatalf("read as %s: %v", a.Name, err)
			}
			events++
		}
		if events < 41 {
			t.Errorf("%s reads %d events", a.Name, events)
		}
		if a.Use.Lists {
			if _, err := l.Idle(t.Context(), Names()); err != nil {
				t.Errorf("list as %s: %v", a.Name, err)
			}
		}
	}
	admin, _ := g.must(t, adminAccess)
	if err := admin.Trim(t.Context(), 5, nil); err != nil {
		t.Errorf("trim: %v", err)
	}
	if refused := g.Refusals(); len(refused) > 0 {
		t.Errorf("the server refuses\n%s", strings.Join(refused, "\n"))
	}
}

// TestRequestsAreAnswered: operators are answered, over an inbox that is theirs.
func TestRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	g := guard(t)
	service, operator := g.connect(t, lockmanager.ServiceName), g.connect(t, operatorAccess)
	svc, err := micro.AddService(service, micro.Config{Name: lockmanager.ServiceName, Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	err = svc.AddEndpoint("pause", eventlog.Requests(func(r micro.Request) { _ = r.Respond([]byte("done")) }), micro.WithEndpointSubject(lockmanager.CommandSubject+".pause"))
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{lockmanager.CommandSubject + ".pause", "$SRV.PING", "$SRV.INFO." + lockmanager.ServiceName} {
		if _, err := operator.Request(subject, nil, 10*time.Second); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if refused := g.Refusals(); len(refused) > 0 {
		t.Errorf("the server refuses\n%s", strings.Join(refused, "\n"))
	}
}

// TestDenied has users do what is not theirs: the server refuses each of it, and whoever
// tries is told what was refused, and whose it is.
func TestDenied(t *testing.T) {
	t.Parallel()
	g := guard(t)
	_, _, err := g.open(t, curator.ServiceName)
	wantDenied(t, "a service without a log", err, "STREAM.CREATE.BLOTTER", "blotter nats create")
	admin, adminConn := g.must(t, adminAccess)
	if _, err := admin.PublishOnce(t.Context(), said("auditor", "x")); err != nil {
		t.Fatal(err)
	}
	curatorLog, _ := g.must(t, curator.ServiceName)
	makeConsumer(t, curatorLog, curator.ServiceName)
	_, theirs := g.must(t, operatorAccess)
	g.Refusals()
	raw := func(subject, data string) func(context.Context, *eventlog.Log, *nats.Conn) error {
		return func(ctx context.Context, _ *eventlog.Log, nc *nats.Conn) error { return ask(ctx, nc, subject, data) }
	}
	hear := func(subject string) func(context.Context, *eventlog.Log, *nats.Conn) error {
		return func(_ context.Context, _ *eventlog.Log, nc *nats.Conn) error {
			if _, err := nc.Subscribe(subject, func(*nats.Msg) {}); err != nil {
				return err
			}
			return nc.Flush()
		}
	}
	const api = "$JS.API."
	for _, c := range []struct {
		what, user, refused string
		try                 func(context.Context, *eventlog.Log, *nats.Conn) error
		says                string
	}{
		{"another role's event", classifier.ServiceName, "blotter.0.rms.reports.lock-manager.TablePaused",
			func(ctx context.Context, l *eventlog.Log, _ *nats.Conn) error {
				_, err := l.PublishOnce(ctx, said(lockmanager.ServiceName, "forged"))
				return err
			}, "only lock-manager says this"},
		{"an event of the auditor", auditorAccess, "blotter.0.rms.reports.auditor.TablePaused",
			func(ctx context.Context, l *eventlog.Log, _ *nats.Conn) error {
				_, err := l.PublishOnce(ctx, said("auditor", "forged"))
				return err
			}, "only auditor says this"},
		{"another role's consumer", classifier.ServiceName, api + "CONSUMER.CREATE.BLOTTER.curator-p",
			func(ctx context.Context, l *eventlog.Log, _ *nats.Conn) error {
				return l.Consume(ctx, eventlog.ConsumerConfig{Service: curator.ServiceName, From: []string{"lock-manager"}}, nil)
			}, "a consumer is its own service's"},
		{"another's consumer in the old manner", classifier.ServiceName, api + "CONSUMER.CREATE.BLOTTER",
			raw(api+"CONSUMER.CREATE.BLOTTER", `{"stream_name":"BLOTTER","config":{"name":"curator-p0"}}`), "blotter nats users"},
		{"a durable consumer in the old manner", classifier.ServiceName, api + "CONSUMER.DURABLE.CREATE.BLOTTER.x",
			raw(api+"CONSUMER.DURABLE.CREATE.BLOTTER.x", `{}`), "a consumer is its own service's"},
		{"another role's deliveries", classifier.ServiceName, api + "CONSUMER.MSG.NEXT.BLOTTER.curator-p0",
			raw(api+"CONSUMER.MSG.NEXT.BLOTTER.curator-p0", `{"batch":1}`), "a consumer is its own service's"},
		{"the deliveries of a service", auditorAccess, api + "CONSUMER.MSG.NEXT.BLOTTER.curator-p0",
			raw(api+"CONSUMER.MSG.NEXT.BLOTTER.curator-p0", `{"batch":1}`), "a consumer is its own service's"},
		{"another role's acknowledgement", classifier.ServiceName, "$JS.ACK.BLOTTER.curator-p0.1.1.1.1.0",
			raw("$JS.ACK.BLOTTER.curator-p0.1.1.1.1.0", "+ACK"), "a consumer is its own service's"},
		{"setting another's consumer back", classifier.ServiceName, api + "CONSUMER.RESET.BLOTTER.curator-p0",
			raw(api+"CONSUMER.RESET.BLOTTER.curator-p0", `{}`), "a consumer is its own service's"},
		{"removing another's consumer", classifier.ServiceName, api + "CONSUMER.DELETE.BLOTTER.curator-p0",
			raw(api+"CONSUMER.DELETE.BLOTTER.curator-p0", ""), "admin's"},
		{"removing one's own consumer", curator.ServiceName, api + "CONSUMER.DELETE.BLOTTER.curator-p0",
			raw(api+"CONSUMER.DELETE.BLOTTER.curator-p0", ""), "admin's"},
		{"purging the log", curator.ServiceName, api + "STREAM.PURGE.BLOTTER",
			func(ctx context.Context, l *eventlog.Log, _ *nats.Conn) error { return l.Trim(ctx, 1, nil) }, "admin's"},
		{"purging the log as operator", operatorAccess, api + "STREAM.PURGE.BLOTTER",
			func(ctx context.Context, l *eventlog.Log, _ *nats.Conn) error { return l.Trim(ctx, 1, nil) }, "admin's"},
		{"deleting the log", curator.ServiceName, api + "STREAM.DELETE.BLOTTER", raw(api+"STREAM.DELETE.BLOTTER", ""), "admin's"},
		{"deleting the log as admin", adminAccess, api + "STREAM.DELETE.BLOTTER", raw(api+"STREAM.DELETE.BLOTTER", ""), "admin's"},
		{"deleting one event", curator.ServiceName, api + "STREAM.MSG.DELETE.BLOTTER", raw(api+"STREAM.MSG.DELETE.BLOTTER", `{"seq":1}`), "admin's"},
		{"editing the log", lockmanager.ServiceName, api + "STREAM.UPDATE.BLOTTER", raw(api+"STREAM.UPDATE.BLOTTER", `{}`), "admin's"},
		{"another stream", curator.ServiceName, api + "STREAM.CREATE.OTHER", raw(api+"STREAM.CREATE.OTHER", `{"name":"OTHER"}`), "admin"},
		{"a command of the auditor", auditorAccess, "command.lock-manager.pause", raw("command.lock-manager.pause", `{}`), "operator's"},
		{"a command of a service", classifier.ServiceName, "command.lock-manager.pause", raw("command.lock-manager.pause", `{}`), "operator's"},
		{"a command of the admin", adminAccess, "command.ingest-router.list", raw("command.ingest-router.list", `{}`), "operator's"},
		{"a reconcile of the auditor", auditorAccess, ingestrouter.ReconcileSubject, raw(ingestrouter.ReconcileSubject, `{}`), "operator's"},
		{"a reconcile of a service", classifier.ServiceName, ingestrouter.ReconcileSubject, raw(ingestrouter.ReconcileSubject, `{}`), "operator's"},
		{"a pause of the scheduled reconcile", reconcile, "command.lock-manager.pause", raw("command.lock-manager.pause", `{}`), "operator's"},
		{"another command of the scheduled reconcile", reconcile, "command.ingest-router.dismiss", raw("command.ingest-router.dismiss", `{}`), "operator's"},
		{"answering a reconcile", lockmanager.ServiceName, ingestrouter.ReconcileSubject, hear(ingestrouter.ReconcileSubject), ""},
		{"answering commands", classifier.ServiceName, "command.lock-manager.pause", hear("command.lock-manager.pause"), ""},
		{"listening to commands", operatorAccess, "command.lock-manager.pause", hear("command.lock-manager.pause"), ""},
		{"another's answers", classifier.ServiceName, theirs.Opts.InboxPrefix + ".>", hear(theirs.Opts.InboxPrefix + ".>"), ""},
		{"everybody's answers", adminAccess, "_INBOX.>", hear("_INBOX.>"), ""},
		{"everything", operatorAccess, ">", hear(">"), ""},
		{"the live events", curator.ServiceName, "blotter.>", hear("blotter.>"), ""},
		{"answering what it was not asked", classifier.ServiceName, theirs.Opts.InboxPrefix + ".x", raw(theirs.Opts.InboxPrefix+".x", ""), ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			l, nc := g.must(t, c.user)
			ctx, done := eventlog.UntilDenied(t.Context(), nc)
			defer done()
			err := c.try(ctx, l, nc)
			if cause := context.Cause(ctx); cause != nil && !errors.As(err, new(*eventlog.DeniedError)) {
				err = cause
			}
			if err == nil { // a subscription: the server tells of it afterwards
				<-ctx.Done()
				err = context.Cause(ctx)
			}
			wantDenied(t, c.what, err, c.refused, c.says)
			refusals := g.Refusals()
			if !slices.ContainsFunc(refusals, func(r string) bool { return strings.Contains(r, `Subject "`+c.refused) }) {
				t.Errorf("the server tells of %q", refusals)
			}
		})
	}
	if first, last, err := admin.Bounds(t.Context()); err != nil || first != 1 || last != 1 {
		t.Errorf("the log is from %d to %d, %v", first, last, err)
	}
	if _, err := adminConn.RTT(); err != nil {
		t.Error(err)
	}
}

// wantDenied checks that an error tells of a refusal.
func wantDenied(t *testing.T, what string, err error, subject, says string) {
	t.Helper()
	var denied *eventlog.DeniedError
	if !errors.As(err, &denied) || !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("%s ends with %v", what, err)
		return
	}
	if !strings.Contains(denied.Subject, subject) || !strings.Contains(err.Error(), says) || !strings.HasPrefix(denied.User, "U") {
		t.Errorf("%s is told as %v", what, err)
	}
}

// ask sends a request that the server may refuse.
func ask(ctx context.Context, nc *nats.Conn, subject, data string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := nc.RequestWithContext(ctx, subject, []byte(data)); err != nil {
		return err
	}
	return errors.New("it was answered")
}

// makeConsumer makes the consumers of a service.
func makeConsumer(t *testing.T, l *eventlog.Log, service string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := l.Consume(ctx, eventlog.ConsumerConfig{Service: service, From: []string{"lock-manager"}, Ready: cancel},
		func(context.Context, eventlog.Record) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
}

// TestConsumersGiveNoCommands: a role may make a consumer, and the server does not look
// where it delivers; what it delivers is no command.
func TestConsumersGiveNoCommands(t *testing.T) {
	t.Parallel()
	g := guard(t)
	g.must(t, adminAccess)
	service, operator := g.connect(t, lockmanager.ServiceName), g.connect(t, operatorAccess)
	svc, err := micro.AddService(service, micro.Config{Name: lockmanager.ServiceName, Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan string, 10)
	err = svc.AddEndpoint("pause", eventlog.Requests(func(r micro.Request) { came <- string(r.Data()); _ = r.Respond(nil) }), micro.WithEndpointSubject(lockmanager.CommandSubject+".pause"))
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	l, nc := g.must(t, classifier.ServiceName)
	if _, err := l.PublishOnce(t.Context(), said(classifier.ServiceName, "x")); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, ack := range []jetstream.AckPolicy{jetstream.AckNonePolicy, jetstream.AckExplicitPolicy} {
		_, err = js.CreateOrUpdatePushConsumer(t.Context(), g.cfg.Stream, jetstream.ConsumerConfig{
			Name: "evil" + ack.String(), DeliverSubject: lockmanager.CommandSubject + ".pause", DeliverGroup: micro.DefaultQueueGroup, AckPolicy: ack,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, ack := range []jetstream.AckPolicy{jetstream.AckNonePolicy, jetstream.AckExplicitPolicy} { // until both have delivered
		for delivered, deadline := uint64(0), time.Now().Add(30*time.Second); delivered == 0; {
			c, err := js.PushConsumer(t.Context(), g.cfg.Stream, "evil"+ack.String())
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("the consumer delivers nothing: %v", err)
			}
			delivered = c.CachedInfo().Delivered.Consumer
		}
	}
	if _, err := operator.Request(lockmanager.CommandSubject+".pause", []byte("mine"), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := <-came; got != "mine" {
		t.Errorf("a command came from a consumer: %q", got)
	}
}
