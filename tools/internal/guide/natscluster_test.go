package guide

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/natsauth"
)

// tryOne makes the log on one server.
func (p natsPage) tryOne(t *testing.T) {
	t.Parallel()
	s := newNATSSite(t, p)
	s.start(t, p.confs["one"], 0, t.TempDir())
	s.run(t, s.here(p.creates[0]))
	if !strings.Contains(s.output, "with 1 replica and 0 events") {
		t.Errorf("it says %s", s.output)
	}
}

// tryVerify connects where the server asks for certificates, and is told so without one.
func (p natsPage) tryVerify(t *testing.T) {
	t.Parallel()
	s := newNATSSite(t, p)
	var conf strings.Builder
	for line := range strings.Lines(p.confs["one"]) {
		if strings.HasPrefix(line, "tls ") {
			line = p.confs["verify"]
		}
		conf.WriteString(line)
	}
	s.start(t, conf.String(), 0, t.TempDir())
	nc, err := s.connect(s.urls(0), "curator", func(c *natsauth.Credentials) { c.Cert, c.Key = s.file("client.pem"), s.file("client.key") })
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	for what, change := range map[string]func(*natsauth.Credentials){
		"--nats-cert and --nats-key":            func(*natsauth.Credentials) {},
		"accept the certificate of --nats-cert": func(c *natsauth.Credentials) { c.Cert, c.Key = s.file("nats-2.pem"), s.file("nats-2.key") },
	} {
		if _, err := s.connect(s.urls(0), "curator", change); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("expected %q, got %v", what, err)
		}
	}
}

// tryThree has three servers join, loses one, replaces it by an empty one, and loses
// another: at each step the log goes on, and all of it is there.
func (p natsPage) tryThree(t *testing.T) {
	t.Parallel()
	s := newNATSSite(t, p)
	conf := p.confs["three"]
	for n := range size {
		s.start(t, conf, n, t.TempDir())
	}
	for n := range size {
		eventually(t, "a cluster of three with a leader", func() bool {
			meta := s.tells(t, n).Meta
			return s.healthy(t, n) && meta.Leader != "" && meta.Size == size
		})
	}
	s.growLog(t)
	s.run(t, s.here(p.creates[1]))
	if !strings.Contains(s.output, "with 3 replicas and 0 events") {
		t.Errorf("it says %s", s.output)
	}
	router, reader := s.open(t, "ingest-router"), s.open(t, "classifier")
	publish(t, router, 1)
	holds(t, reader, 1)

	lost := s.leader(t)
	s.stop(lost)
	publish(t, router, 2)
	holds(t, reader, 2)
	others := s.others(lost)
	for _, n := range others {
		eventually(t, "health of the others", func() bool { return s.healthy(t, n) })
	}

	s.start(t, conf, lost, t.TempDir())
	eventually(t, "health of the new server", func() bool { return s.healthy(t, lost) })
	s.renew(t, lost)
	s.stop(others[0])
	publish(t, router, 3)
	holds(t, reader, 3)

	s.stop(others[1])
	eventually(t, "a server that says it is alone", func() bool { return !s.healthy(t, lost) })
}

// growLog makes a log of one replica, as on one server alone, and has admin change it as
// the page says: to three.
func (s *natsSite) growLog(t *testing.T) {
	t.Helper()
	b := s.here(s.creates[1])
	one := b
	one.text = strings.TrimSpace(b.text) + " --log-replicas 1"
	s.run(t, one)
	b.attrs = map[string]string{"exit": "1"}
	s.run(t, b)
	if !strings.Contains(s.output, "`nats stream edit BLOTTER --replicas=3`") {
		t.Errorf("of a log with one replica it says %s", s.output)
	}
	nc, err := s.connect(s.urls(0, 1, 2), "admin", func(*natsauth.Credentials) {})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "BLOTTER")
	if err != nil {
		t.Fatal(err)
	}
	more := stream.CachedInfo().Config
	more.Replicas = size
	if _, err := js.UpdateStream(t.Context(), more); err != nil {
		t.Fatal(err)
	}
}

// leader is the server that leads the log, by what the page says that servers tell of it.
func (s *natsSite) leader(t *testing.T) (leads int) {
	t.Helper()
	eventually(t, "a leader whose followers are current", func() bool {
		for n := range size {
			for _, account := range s.tells(t, n).Accounts {
				for _, stream := range account.Streams {
					c := stream.Cluster
					if stream.Name == "BLOTTER" && c.Leader == s.servers[n].Name() && len(c.Replicas) == 2 && c.Replicas[0].Current && c.Replicas[1].Current {
						leads = n
						return true
					}
				}
			}
		}
		return false
	})
	return leads
}

func (s *natsSite) others(than int) (others []int) {
	for n := range size {
		if n != than {
			others = append(others, n)
		}
	}
	return others
}

// renew gives a running server another certificate, as the page says.
func (s *natsSite) renew(t *testing.T, n int) {
	t.Helper()
	before := s.serials(t, n)
	name := s.servers[n].Name()
	s.run(t, block{page: "nats.md", lang: "sh", text: strings.ReplaceAll(s.sign, "nats-1", name)})
	copyFile(t, s.file(name+".pem"), s.places[n]+"/server.pem")
	if err := s.servers[n].Reload(); err != nil {
		t.Fatal(err)
	}
	for i, serial := range s.serials(t, n) {
		if serial.Cmp(before[i]) == 0 {
			t.Errorf("the server shows its old certificate (0: to clients, 1: to servers): %d", i)
		}
	}
}

// serials are the numbers of the certificates that a server shows to clients and to servers.
func (s *natsSite) serials(t *testing.T, n int) (serials [2]*big.Int) {
	t.Helper()
	for i, port := range []int{s.clients[n], s.routes[n]} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		// A client is told of the server before TLS. Byte by byte: what follows the line is TLS.
		for b := make([]byte, 1); i == 0 && b[0] != '\n'; {
			if _, err := conn.Read(b); err != nil {
				t.Fatal(err)
			}
		}
		authority, err := os.ReadFile(s.file("ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		known := x509.NewCertPool()
		known.AppendCertsFromPEM(authority)
		secured := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "127.0.0.1", RootCAs: known})
		if err := secured.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		serials[i] = secured.ConnectionState().PeerCertificates[0].SerialNumber
	}
	return serials
}
