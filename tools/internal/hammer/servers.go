package hammer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsserver"
)

// servers are the NATS servers of a history.
type servers interface {
	url() string
	// restart has one end and come back under its address: of several, the leader of
	// the log, which dies by kill -9.
	restart(ctx context.Context) error
	// settle waits until they answer again as before a restart.
	settle(ctx context.Context) error
	close()
}

// embedded is one server in this process.
type embedded struct {
	site   *site
	server *natsserver.Server
	port   int
}

func serveEmbedded(ctx context.Context, s *site) (*embedded, error) {
	e := &embedded{site: s}
	if err := e.serve(ctx); err != nil {
		return nil, err
	}
	u, err := url.Parse(e.url())
	if err == nil {
		e.port, err = strconv.Atoi(u.Port())
	}
	if err != nil {
		e.close()
		return nil, fmt.Errorf("find the server's port: %w", err)
	}
	return e, nil
}

func (e *embedded) serve(ctx context.Context) error {
	cfg := natsserver.DefaultConfig()
	cfg.Dir, cfg.Port, cfg.SyncAlways = filepath.Join(e.site.cfg.Dir, "nats"), e.port, false // processes die here, machines do not
	var err error
	e.server, err = natsserver.Start(ctx, cfg, e.site.cfg.Logger)
	return err
}

func (e *embedded) url() string { return e.server.URL() }

func (e *embedded) restart(ctx context.Context) error {
	e.server.Close()
	return persist(ctx, func() error { return e.serve(ctx) })
}

// persist starts a server under an address that it had before. Whoever connects anywhere
// may have been given its port meanwhile, for as long as the connection lasts.
func persist(ctx context.Context, start func() error) (err error) {
	const attempts = 20
	for range attempts {
		if err = start(); err == nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, time.Second)
	}
	return err
}

func (e *embedded) settle(context.Context) error { return nil } // it is ready once it has started

func (e *embedded) close() {
	if e.server != nil {
		e.server.Close()
	}
}

// member is one NATS server that is a process, as it is told.
type member struct {
	Name   string
	Dir    string
	Port   int
	Route  int      // its own port for the others; 0: it is alone
	Routes []string // of all
}

func (m member) address() string { return fmt.Sprintf("nats://127.0.0.1:%d", m.Port) }

// apart are NATS servers that are processes: one, or a cluster.
type apart struct {
	cfg     Config
	members []member
	running []*process
}

// freePorts gives ports of which nobody else knows.
func freePorts(n int) (ports []int, err error) {
	var open []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		open = append(open, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	for _, l := range open {
		err = errors.Join(err, l.Close())
	}
	return ports, err
}

// serveApart starts servers under ports that were free a moment before; if one was given
// to somebody else meanwhile, under others.
func serveApart(ctx context.Context, cfg Config) (a *apart, err error) {
	const attempts = 3
	for range attempts {
		if a, err = serveOn(ctx, cfg); err == nil || ctx.Err() != nil {
			return a, err
		}
		for i := range cfg.Nodes {
			err = errors.Join(err, os.RemoveAll(memberDir(cfg, i)))
		}
	}
	return nil, err
}

func memberDir(cfg Config, i int) string { return filepath.Join(cfg.Dir, fmt.Sprintf("nats%d", i)) }

func serveOn(ctx context.Context, cfg Config) (*apart, error) {
	ports, err := freePorts(2 * cfg.Nodes)
	if err != nil {
		return nil, err
	}
	a := &apart{cfg: cfg, running: make([]*process, cfg.Nodes)}
	var routes []string
	for i := range cfg.Nodes {
		routes = append(routes, fmt.Sprintf("nats-route://127.0.0.1:%d", ports[cfg.Nodes+i]))
	}
	for i := range cfg.Nodes {
		m := member{Name: fmt.Sprintf("n%d", i), Dir: memberDir(cfg, i), Port: ports[i]}
		if cfg.Nodes > 1 {
			m.Route, m.Routes = ports[cfg.Nodes+i], routes
		}
		a.members = append(a.members, m)
	}
	// A member of a cluster is ready once others are.
	ready := make(chan error, cfg.Nodes)
	for i := range a.members {
		go func() { ready <- a.start(ctx, i) }()
	}
	for range a.members {
		err = errors.Join(err, <-ready)
	}
	if err == nil {
		err = a.makeLog(ctx)
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// makeLog makes the stream of the log, which a cluster can once its members have found
// each other.
func (a *apart) makeLog(ctx context.Context) error {
	nc, err := eventlog.Connect(a.url(), "hammer", a.cfg.Logger)
	if err != nil {
		return err
	}
	defer nc.Close()
	for {
		_, err := eventlog.Open(ctx, nc, logConfig(a.cfg))
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait(ctx, startAgain)
	}
}

func (a *apart) url() string {
	all := make([]string, len(a.members))
	for i, m := range a.members {
		all[i] = m.address()
	}
	return strings.Join(all, ",")
}

// start starts a member, and returns once it takes connections.
func (a *apart) start(ctx context.Context, i int) error {
	spec, err := json.Marshal(a.members[i])
	if err != nil {
		return fmt.Errorf("start a NATS server: %w", err)
	}
	ready := make(chan struct{}, 1)
	p, err := startProcess(filepath.Join(a.cfg.Dir, a.members[i].Name+".log"), serverVariable+"="+string(spec), func(string) {
		select {
		case ready <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	a.running[i] = p
	select {
	case <-ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("the NATS server %s ended as it started: %w", a.members[i].Name, p.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *apart) restart(ctx context.Context) error {
	victim := 0
	if len(a.members) > 1 {
		name, err := leader(ctx, a.url())
		if err != nil {
			return err
		}
		for i, m := range a.members {
			if m.Name == name {
				victim = i
			}
		}
	}
	a.running[victim].kill()
	return persist(ctx, func() error { return a.start(ctx, victim) })
}

// leader asks which server leads the stream of the log.
func leader(ctx context.Context, urls string) (string, error) {
	nc, err := eventlog.Connect(urls, "hammer", slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return "", fmt.Errorf("find the leader of the log: %w", err)
	}
	for ctx.Err() == nil {
		stream, err := js.Stream(ctx, logConfig(Config{}).Stream)
		if err == nil && stream.CachedInfo().Cluster != nil && stream.CachedInfo().Cluster.Leader != "" {
			return stream.CachedInfo().Cluster.Leader, nil
		}
		wait(ctx, startAgain) // there is none just now
	}
	return "", ctx.Err()
}

// settle waits until the log and all its consumers have a leader, and the others have
// caught up. Until then a process that starts can wait for an answer past its deadline.
func (a *apart) settle(ctx context.Context) error {
	nc, err := eventlog.Connect(a.url(), "hammer", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("look whether the log has settled: %w", err)
	}
	for ctx.Err() == nil {
		if recovered(ctx, js) {
			return nil
		}
		wait(ctx, startAgain)
	}
	return ctx.Err()
}

func recovered(ctx context.Context, js jetstream.JetStream) bool {
	stream, err := js.Stream(ctx, logConfig(Config{}).Stream) // answered by the leader of all
	if err != nil || !whole(stream.CachedInfo().Cluster) {
		return false
	}
	consumers := stream.ListConsumers(ctx)
	for consumer := range consumers.Info() {
		if !whole(consumer.Cluster) {
			return false
		}
	}
	return consumers.Err() == nil
}

// whole reports whether a part of a cluster has a leader, whom all others follow; a
// server alone is no cluster.
func whole(c *jetstream.ClusterInfo) bool {
	if c == nil {
		return true
	}
	return c.Leader != "" && !slices.ContainsFunc(c.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline })
}

func (a *apart) close() {
	for _, p := range a.running {
		if p != nil {
			p.kill()
		}
	}
}

// serveMember is a process that is a NATS server, until its input ends.
func serveMember(spec string, in io.Reader, out io.Writer) error {
	var m member
	if err := json.Unmarshal([]byte(spec), &m); err != nil {
		return fmt.Errorf("read what server to be: %w", err)
	}
	o := &server.Options{
		ServerName: m.Name, Host: "127.0.0.1", Port: m.Port, NoSigs: true, JetStream: true, StoreDir: m.Dir,
		JetStreamMaxStore: 64 << 30, JetStreamMaxMemory: 64 << 20, MaxPayload: natsserver.DefaultConfig().MaxPayload,
	}
	if m.Route > 0 {
		o.Cluster = server.ClusterOpts{Name: "hammer", Host: "127.0.0.1", Port: m.Route}
		o.Routes = server.RoutesFromStr(strings.Join(m.Routes, ","))
	}
	s, err := server.NewServer(o)
	if err != nil {
		return fmt.Errorf("configure a NATS server: %w", err)
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return errors.New("the NATS server does not take connections within a minute")
	}
	fmt.Fprintln(out, "ready")
	_, err = io.Copy(io.Discard, bufio.NewReader(in))
	s.Shutdown()
	return err
}

// Variables of the environment that make a process of this program a part of a history.
const (
	serverVariable = "BLOTTER_HAMMER_SERVER"
	workerVariable = "BLOTTER_HAMMER_WORKER"
)

// Part runs the part of a history that the environment makes this process; done tells
// whether it makes it any. A program that plays histories in many processes begins with
// it.
func Part(ctx context.Context) (done bool, err error) {
	if spec := os.Getenv(serverVariable); spec != "" {
		return true, serveMember(spec, os.Stdin, os.Stdout)
	}
	if spec := os.Getenv(workerVariable); spec != "" {
		return true, work(ctx, spec)
	}
	return false, nil
}
