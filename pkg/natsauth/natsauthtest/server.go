// Package natsauthtest gives tests a NATS server that lets in only users that it is told
// of, over TLS on which both sides show certificates, or the server alone.
package natsauthtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/openblotter/blotter/pkg/natsauth"
)

// Server is a running server.
type Server struct {
	URL  string // tls://…
	Dir  string // of the certificates and of the server's configuration
	Conf string // the configuration
	ns   *server.Server

	mu       sync.Mutex
	refusals []string
}

// settings are the server's; users.conf is what `blotter nats users` writes. The log asks
// for more than three quarters of a small disk, which is what a server gives otherwise.
const settings = `
listen: "127.0.0.1:-1"
server_name: test
jetstream { store_dir: %q, max_file_store: 64GB }
max_payload: 8MB
tls { cert_file: %q, key_file: %q, ca_file: %q, verify: %t, timeout: 30 }
authorization { include %q }
`

// Start starts a server for one test, with users that stand in a file.
func Start(t testing.TB, users string) *Server {
	t.Helper()
	return Prepare(t, users).start(t)
}

// StartUnverified is Start of a server that asks nobody for a certificate.
func StartUnverified(t testing.TB, users string) *Server {
	t.Helper()
	return prepare(t, users, false).start(t)
}

func (s *Server) start(t testing.TB) *Server {
	t.Helper()
	var err error
	if s.ns, err = serve(s.Conf, func(text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refusals = append(s.refusals, text)
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.ns.Shutdown(); s.ns.WaitForShutdown() })
	s.URL = addressOf(s.ns)
	return s
}

// Prepare writes the configuration and the certificates of a server for one test, whose
// users stand in a file. Whoever runs it says what its URL is.
func Prepare(t testing.TB, users string) *Server {
	t.Helper()
	return prepare(t, users, true)
}

func prepare(t testing.TB, users string, verify bool) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir()}
	s.certificates(t)
	// An include is looked for beside the file that has it.
	beside, err := filepath.Rel(s.Dir, users)
	if err != nil {
		t.Fatal(err)
	}
	s.Conf = filepath.Join(s.Dir, "nats.conf")
	text := fmt.Sprintf(settings, t.TempDir(), s.file("server.pem"), s.file("server.key"), s.file("ca.pem"), verify, beside)
	if err := os.WriteFile(s.Conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// Serve runs a server of a prepared configuration in a process of its own: it says its
// address to address once it takes connections, tells each refusal in a line of its own,
// and ends when until does.
func Serve(conf string, address, refusals io.Writer, until io.Reader) error {
	ns, err := serve(conf, func(text string) { fmt.Fprintln(refusals, text) })
	if err != nil {
		return err
	}
	defer func() { ns.Shutdown(); ns.WaitForShutdown() }()
	if _, err := fmt.Fprintln(address, addressOf(ns)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, until)
	return err
}

func serve(conf string, log refusalLogger) (*server.Server, error) {
	options, err := server.ProcessConfigFile(conf)
	if err != nil {
		return nil, fmt.Errorf("nats-server refuses its configuration: %w", err)
	}
	options.NoSigs = true
	ns, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	if !ns.ReadyForConnections(30 * time.Second) {
		ns.Shutdown()
		return nil, errors.New("the server takes no connections")
	}
	return ns, nil
}

func addressOf(ns *server.Server) string {
	return strings.Replace(ns.ClientURL(), "nats://", "tls://", 1)
}

// Reload has the server read its configuration again.
func (s *Server) Reload(t testing.TB) {
	t.Helper()
	if err := s.ns.Reload(); err != nil {
		t.Fatalf("nats-server refuses its configuration: %v", err)
	}
}

// Credentials are those of a user whose seed lies in a folder.
func (s *Server) Credentials(seeds, user string) natsauth.Credentials {
	return natsauth.Credentials{
		Seed: natsauth.SeedFile(seeds, user), CA: s.file("ca.pem"), Cert: s.file("client.pem"), Key: s.file("client.key"),
	}
}

// Refusals gives what the server has refused to users since it was asked last.
func (s *Server) Refusals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.refusals
	s.refusals = nil
	return all
}

func (s *Server) file(name string) string { return filepath.Join(s.Dir, name) }

// certificates makes an authority, and what it says of the server and its clients.
func (s *Server) certificates(t testing.TB) {
	t.Helper()
	authority, key := s.certificate(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	s.certificate(t, "server", &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority, key)
	s.certificate(t, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, authority, key)
}

// certificate writes a certificate and its key; without an authority it signs itself.
func (s *Server) certificate(t testing.TB, name string, c, authority *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if authority == nil {
		authority, by = c, key
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "blotter test " + name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	signed, err := x509.CreateCertificate(rand.Reader, c, authority, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(s.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600),
		os.WriteFile(s.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(signed)
	if err != nil {
		t.Fatal(err)
	}
	return parsed, key
}

// refusalLogger hears what the server says of refusals.
type refusalLogger func(text string)

// Errorf tells of refusals.
func (l refusalLogger) Errorf(format string, v ...any) {
	if text := fmt.Sprintf(format, v...); strings.Contains(text, "Violation") || strings.Contains(text, "authentication error") {
		l(text)
	}
}

// Noticef keeps nothing.
func (refusalLogger) Noticef(string, ...any) {}

// Warnf keeps nothing.
func (refusalLogger) Warnf(string, ...any) {}

// Fatalf keeps nothing.
func (refusalLogger) Fatalf(string, ...any) {}

// Debugf keeps nothing.
func (refusalLogger) Debugf(string, ...any) {}

// Tracef keeps nothing.
func (refusalLogger) Tracef(string, ...any) {}
