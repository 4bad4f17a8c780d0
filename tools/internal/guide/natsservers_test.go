package guide

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/natsauth"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// size is how many servers the page's cluster has.
const size = 3

// natsSite are servers with the configuration of the page.
type natsSite struct {
	natsPage
	clients, routes [size]int // ports
	servers         [size]*server.Server
	places          [size]string // folders of their configuration
}

func newNATSSite(t *testing.T, p natsPage) *natsSite {
	t.Helper()
	s := &natsSite{natsPage: p}
	taken := map[int]bool{}
	for n := range size {
		s.clients[n], s.routes[n] = freePort(t, taken), freePort(t, taken)
	}
	t.Cleanup(func() {
		for _, ns := range s.servers {
			if ns != nil {
				ns.Shutdown()
				ns.WaitForShutdown()
			}
		}
	})
	return s
}

// Servers name each other's ports before they start, and keep them when they start again, so
// that none can bind port 0. These lie below those that Linux gives out by itself, to whoever
// binds port 0 or connects: nobody takes one between the look and the start.
const firstPort, lastPort = 12000, 32000

// freePort gives a port that nobody listens on and that is not taken, and takes it.
func freePort(t *testing.T, taken map[int]bool) int {
	t.Helper()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		taken[port] = true
		return port
	}
	t.Fatal("no port is free")
	return 0
}

// start starts server n, counted from 0, by a configuration of the page in which addresses
// and ports are those of this machine, and directories are the test's. What it keeps is
// in store.
func (s *natsSite) start(t *testing.T, conf string, n int, store string) {
	t.Helper()
	dir := t.TempDir()
	name := fmt.Sprintf("nats-%d", n+1)
	for from, to := range map[string]string{name + ".pem": "server.pem", name + ".key": "server.key", "ca.pem": "ca.pem", "clients-ca.pem": "clients-ca.pem"} {
		copyFile(t, s.file(from), filepath.Join(dir, to))
	}
	users := filepath.Join("nats-users", "blotter-users.conf")
	if err := os.Mkdir(filepath.Join(dir, "nats-users"), 0o755); err != nil {
		t.Fatal(err)
	}
	copyFile(t, s.file(users), filepath.Join(dir, users))
	for _, r := range [][2]string{
		{`server_name: nats-1`, `server_name: ` + name},
		{`"0.0.0.0:4222"`, fmt.Sprintf(`"127.0.0.1:%d"`, s.clients[n])},
		{`"127.0.0.1:8222"`, `"127.0.0.1:-1"`},
		{`"0.0.0.0:6222"`, fmt.Sprintf(`"127.0.0.1:%d"`, s.routes[n])},
		{`"/data"`, fmt.Sprintf("%q", store)},
	} {
		conf = strings.ReplaceAll(conf, r[0], r[1])
	}
	for i := range size {
		conf = strings.ReplaceAll(conf, fmt.Sprintf("nats-%d.blotter.internal:6222", i+1), fmt.Sprintf("127.0.0.1:%d", s.routes[i]))
	}
	conf = regexp.MustCompile(`_file: "`).ReplaceAllString(conf, `_file: "`+dir+`/`)
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil || len(options.Nkeys) != 12 {
		t.Fatalf("nats-server says %v of\n%s", err, conf)
	}
	options.NoSigs = true
	ns, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	s.servers[n], s.places[n] = ns, dir
	eventually(t, name+" takes connections", func() bool { return ns.ReadyForConnections(10 * time.Millisecond) })
}

func (s *natsSite) stop(n int) {
	s.servers[n].Shutdown()
	s.servers[n].WaitForShutdown()
}

// here gives a command of the page with the addresses of this machine.
func (s *natsSite) here(b block) block {
	for n := range size {
		b.text = strings.ReplaceAll(b.text, fmt.Sprintf("nats-%d.blotter.internal:4222", n+1), fmt.Sprintf("127.0.0.1:%d", s.clients[n]))
	}
	return b
}

// urls are those of some servers.
func (s *natsSite) urls(numbers ...int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, fmt.Sprintf("tls://127.0.0.1:%d", s.clients[n]))
	}
	return strings.Join(all, ",")
}

func (s *natsSite) connect(url, user string, change func(*natsauth.Credentials)) (*nats.Conn, error) {
	c := natsauth.Credentials{Seed: natsauth.SeedFile(s.file("nats-users"), user), CA: s.file("ca.pem")}
	change(&c)
	options, err := c.Options()
	if err != nil {
		return nil, err
	}
	return eventlog.Connect(url, "guide", slog.New(slog.DiscardHandler), options...)
}

// open opens the log on all servers as a service does, as a user.
func (s *natsSite) open(t *testing.T, user string) *eventlog.Log {
	t.Helper()
	var log *eventlog.Log
	eventually(t, "the log for "+user, func() bool {
		nc, err := s.connect(s.urls(0, 1, 2), user, func(*natsauth.Credentials) {})
		if err != nil {
			return false
		}
		if log, err = eventlog.Open(t.Context(), nc, eventlog.DefaultConfig()); err != nil {
			nc.Close()
			return false
		}
		t.Cleanup(nc.Close)
		return true
	})
	return log
}

// publish says an event as ingest-router does, as soon as the servers let it.
func publish(t *testing.T, l *eventlog.Log, n int) {
	t.Helper()
	id := fmt.Sprintf("%032x", n)
	eventually(t, "a publish", func() bool {
		_, err := l.PublishOnce(t.Context(), eventlog.Event{
			Table: dms.TableID{DB: "rms", Table: "reports"}, Service: "ingest-router", ID: id, Correlation: id,
			Time: time.Unix(int64(n), 0), Message: &blotterv1.ObjectArrived{FileId: id, Source: "listing"},
		})
		return err == nil
	})
}

// holds reads the whole log, which must have this many events.
func holds(t *testing.T, l *eventlog.Log, events int) {
	t.Helper()
	eventually(t, "a whole reading", func() bool {
		var ids []string
		for r, err := range l.Read(t.Context(), eventlog.Filter{}) {
			if err != nil {
				return false
			}
			ids = append(ids, r.Envelope.GetId())
		}
		for i, id := range ids {
			if id != fmt.Sprintf("%032x", i+1) {
				t.Fatalf("event %d is %s", i+1, id)
			}
		}
		if len(ids) != events {
			t.Fatalf("%d events, expected %d", len(ids), events)
		}
		return true
	})
}

// jsz is what the page reads in what a server tells of JetStream.
type jsz struct {
	Meta struct {
		Leader string `json:"leader"`
		Size   int    `json:"cluster_size"`
	} `json:"meta_cluster"`
	Accounts []struct {
		Streams []struct {
			Name    string `json:"name"`
			Cluster struct {
				Leader   string `json:"leader"`
				Replicas []struct {
					Name    string `json:"name"`
					Current bool   `json:"current"`
				} `json:"replicas"`
			} `json:"cluster"`
		} `json:"stream_detail"`
	} `json:"account_details"`
}

// healthy reports whether a server says that it is, as the page has it asked.
func (s *natsSite) healthy(t *testing.T, n int) bool {
	t.Helper()
	return strings.Contains(s.ask(t, n, s.monitor[0]), `"status":"ok"`)
}

// tells is what a server tells of JetStream, as the page has it asked.
func (s *natsSite) tells(t *testing.T, n int) (told jsz) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.ask(t, n, s.monitor[1])), &told); err != nil {
		t.Fatal(err)
	}
	return told
}

func (s *natsSite) ask(t *testing.T, n int, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.servers[n].MonitorAddr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(body), `": "`, `":"`)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(3*time.Minute), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
