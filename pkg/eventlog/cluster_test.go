package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// startCluster runs three servers that form one cluster, and gives their URLs.
func startCluster(t *testing.T) (urls string, servers []*server.Server) {
	t.Helper()
	const size = 3
	var routes []*url.URL
	var ports []int
	for range size {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	var all []string
	for i := range size {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT,
			NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
			JetStreamMaxStore: 32 << 30, JetStreamMaxMemory: 64 << 20,
			Cluster: server.ClusterOpts{Name: "blotter", Host: "127.0.0.1", Port: ports[i]},
			Routes:  routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		servers = append(servers, s)
	}
	t.Cleanup(func() {
		var wg sync.WaitGroup
		for _, s := range servers {
			wg.Go(func() { s.Shutdown(); s.WaitForShutdown() })
		}
		wg.Wait()
	})
	for _, s := range servers {
		eventually(t, "a server of the cluster", func() bool { return s.ReadyForConnections(10 * time.Millisecond) })
		all = append(all, s.ClientURL())
	}
	eventually(t, "a leader of the cluster", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == size {
				return true
			}
		}
		return false
	})
	return strings.Join(all, ","), servers
}

// TestThreeNodes shows on a replicated stream what the others show on one
// server: the second code of a wrong sequence, replicas that race, stages and
// outboxes that crash, and a server that goes away.
func TestThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers take some seconds")
	}
	urls, servers := startCluster(t)
	cfg := testConfig()
	cfg.Replicas = 3
	cfg.MaxBytes = 1 << 30
	cfg.AckWait = 500 * time.Millisecond
	tooMany := cfg
	tooMany.Replicas = 5
	eventually(t, "a refusal", func() bool {
		_, _, err := process(t.Context(), urls, tooMany)
		return err != nil && strings.Contains(err.Error(), "needs a cluster of 5 NATS servers or more")
	})
	var l *Log
	eventually(t, "the stream", func() bool {
		var end func()
		var err error
		if l, end, err = process(t.Context(), urls, cfg); err == nil {
			t.Cleanup(end)
		}
		return err == nil
	})
	wrongSequence(t, l)
	t.Run("both codes", func(t *testing.T) { bothCodes(t, urls, cfg) })

	var all tally
	t.Run("outbox", func(t *testing.T) { runOutbox(t, urls, cfg, all.crasher(1, 40), 2, 40) })
	t.Run("stages", func(t *testing.T) { runStages(t, urls, cfg, all.crasher(2, 40), 2, 40) })
	t.Run("a server goes away", func(t *testing.T) { loseServer(t, urls, cfg, servers) })
}

// wrongSequence has the server refuse a publish whose expectation is in the past,
// and holds its answer against what classify makes of it.
func wrongSequence(t *testing.T, l *Log) {
	t.Helper()
	publish(t, l, arrived(reports, 0))
	chain := l.partitions.chain(reports, "ingest-router")
	var err error
	eventually(t, "an answer of the stream's leader", func() bool {
		_, err = l.js.Publish(t.Context(), l.partitions.Subject(reports, "ingest-router", "ObjectArrived"), nil,
			jetstream.WithExpectLastSequenceForSubject(0, chain))
		return !electing(err)
	})
	if !errors.Is(classify(err), ErrConflict) {
		t.Errorf("a wrong sequence is %v", err)
	}
	t.Logf("a wrong sequence on a replicated stream: %v", err)
}

// codes counts the publishes that came second, by the server's code.
type codes struct {
	slog.Handler
	mu   sync.Mutex
	seen map[int64]int
}

func (c *codes) Enabled(context.Context, slog.Level) bool { return true }

func (c *codes) Handle(_ context.Context, r slog.Record) error {
	if r.Message == ConflictMessage {
		r.Attrs(func(a slog.Attr) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			if a.Key == ConflictCode {
				c.seen[a.Value.Int64()]++
			}
			return true
		})
	}
	return nil
}

func (c *codes) both() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[int64(jetstream.JSErrCodeStreamWrongLastSequence)] > 0 && c.seen[int64(jetstream.JSErrCodeStreamWrongLastSequenceConstant)] > 0
}

// bothCodes has processes publish on one chain at once until the server has refused by
// either code: where what was expected is in the past, and where another publish is on
// its way. Each of them looks again, and every event is there once.
func bothCodes(t *testing.T, urls string, cfg Config) {
	table := reports
	table.Table = "contended"
	met := &codes{Handler: slog.DiscardHandler, seen: map[int64]int{}}
	var logs []*Log
	for range 4 {
		logs = append(logs, openLog(t, urls, cfg, WithLogger(slog.New(met))))
	}
	want := map[string]bool{}
	const rounds = 500
	for round := 0; round < rounds && !met.both(); round++ {
		var wg sync.WaitGroup
		for i, l := range logs {
			e := arrived(table, len(logs)*round+i)
			want[e.ID] = true
			wg.Go(func() {
				eventually(t, "a publish", func() bool {
					_, err := l.PublishOnce(t.Context(), e)
					return err == nil
				})
			})
		}
		wg.Wait()
	}
	if !met.both() {
		t.Errorf("the server refused by the codes %v, not by both that mean a wrong sequence", met.seen)
	}
	t.Logf("refused by code: %v", met.seen)
	checkOnce(t, logs[0], table, "ingest-router", want)
}

// loseServer has two processes publish the same events while one of the servers
// ends for good.
func loseServer(t *testing.T, urls string, cfg Config, servers []*server.Server) {
	cfg.CallTimeout = 2 * time.Second
	table := reports
	table.Table = "survivors"
	const events = 60
	want := make(map[string]bool)
	for n := range events {
		want[arrived(table, n).ID] = true
	}
	var wg sync.WaitGroup
	for r := range 2 {
		l := openLog(t, urls, cfg)
		wg.Go(func() {
			for n := range events {
				if r == 0 && n == events/2 {
					servers[0].Shutdown()
				}
				eventually(t, "a publish", func() bool {
					_, err := l.PublishOnce(t.Context(), arrived(table, n))
					return err == nil
				})
			}
		})
	}
	wg.Wait()
	checkOnce(t, openLog(t, urls, cfg), table, "ingest-router", want)
}
