package eventlog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	neturl "net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// reconnectTold is how often a connection that does not come back says why.
const reconnectTold = 30 * time.Second

// Connect opens a connection that reconnects for as long as the server knows its user, and
// tells of its disturbances. name is shown to operators in the server's list of connections.
// more say as whom it is opened, and how. Of several servers the first that answers is
// taken; if none does, the error says of each why.
func Connect(url, name string, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	ctx := context.Background()
	options := nats.GetDefaultOptions()
	options.Url = url
	var told time.Time
	all := append([]nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.WarnContext(ctx, "connection to nats lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			told = time.Time{}
			log.InfoContext(ctx, "connection to nats is back", "url", nc.ConnectedUrlRedacted())
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { // never two at once
			if now := time.Now(); now.Sub(told) >= reconnectTold {
				told = now
				log.WarnContext(ctx, "nats is not reached again yet", "error", advise(err, options))
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.ErrorContext(ctx, "nats reports an error", "error", err)
		}),
	}, more...)
	var asked atomic.Bool
	all = append(all, noteAsked(&asked))
	for _, set := range all {
		if err := set(&options); err != nil {
			return nil, fmt.Errorf("connect to nats at %s: %w", Redacted(url), err)
		}
	}
	nc, err := nats.Connect(url, all...)
	if err == nil {
		return nc, nil
	}
	err = whyNot(err, asked.Load(), options)
	if whys := tryEach(url, all, options); whys != nil {
		err = whys
	}
	return nil, fmt.Errorf("connect to nats at %s: %w", Redacted(url), err)
}

// tryEach says of each of several servers why it cannot be connected to, since the client
// library tells only of the last: nil of one alone, or if one of them answers now.
func tryEach(urls string, options []nats.Option, read nats.Options) error {
	each := strings.Split(urls, ",")
	if len(each) < 2 {
		return nil
	}
	options = append(options[:len(options):len(options)], nats.NoReconnect())
	if strings.Contains(urls, "tls://") { // said of one, it holds for all
		options = append(options, nats.Secure())
	}
	var whys []error
	for _, one := range each {
		var asked atomic.Bool
		nc, err := nats.Connect(one, append(options[:len(options):len(options)], noteAsked(&asked))...)
		if err == nil {
			nc.Close()
			return nil
		}
		read.Url = one
		whys = append(whys, fmt.Errorf("%s: %w", Redacted(one), whyNot(err, asked.Load(), read)))
	}
	return errors.Join(whys...)
}

// whyNot adds to the error of a first connection what to do about it. A server that ends it
// at once may do so for want of a certificate: its alert is lost where it came before the
// client had said all that it had to say, but not that it has asked for one.
func whyNot(err error, asked bool, read nats.Options) error {
	if asked && dropped(err) {
		return fmt.Errorf("%w: %s", err, alerts[certificateRequired])
	}
	return advise(err, read)
}

// noteAsked is an option that notes whether a server asks for a certificate of a client that
// has none; it is given none, as without the option.
func noteAsked(asked *atomic.Bool) nats.Option {
	return func(o *nats.Options) error {
		if o.TLSCertCB != nil {
			return nil
		}
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		} else {
			o.TLSConfig = o.TLSConfig.Clone()
		}
		o.TLSConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked.Store(true)
			return new(tls.Certificate), nil
		}
		return nil
	}
}

// dropped reports whether the server has ended the connection without a word.
func dropped(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

const certificateRequired = "tls: certificate required"

// alerts are what a server says of a client's certificate. The library leaves only their
// text.
var alerts = map[string]string{
	certificateRequired:        "it asks for a certificate (verify: true); give one that it accepts, with its key: --nats-cert and --nats-key (BLOTTER_NATS_CERT, BLOTTER_NATS_KEY)",
	"tls: unknown certificate": "it does not accept the certificate of --nats-cert (BLOTTER_NATS_CERT): an authority must have signed it that stands in the server's ca_file",
	"tls: bad certificate":     "it does not accept the certificate of --nats-cert (BLOTTER_NATS_CERT), which must be one for clients",
	"tls: expired certificate": "the certificate of --nats-cert (BLOTTER_NATS_CERT) has expired; renew it",
}

// advise adds to an error of a connection what to do about it.
func advise(err error, o nats.Options) error {
	advice := ""
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		advice = stranger(o)
	case errors.As(err, &unknown) && o.RootCAsCB == nil:
		advice = "this machine does not know the authority that signed the server's certificate: give that authority with --nats-ca (BLOTTER_NATS_CA)"
	case errors.As(err, &unknown):
		advice = "the authorities of --nats-ca (BLOTTER_NATS_CA) did not sign the server's certificate"
	case errors.As(err, &host):
		advice = "the server's certificate must have the name or address by which --nats (BLOTTER_NATS) calls it"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		advice = "the server's certificate has expired, or is not valid yet; renew it, and have the server reload"
	case errors.Is(err, nats.ErrSecureConnWanted):
		advice = "the server has no TLS: give it a block tls, or call it nats:// instead of tls://"
	case strings.Contains(err.Error(), certificateRequired) && o.TLSCertCB != nil:
		advice = alerts["tls: unknown certificate"] // it is not even shown to one who does not name its authority
	case strings.Contains(err.Error(), "tls: "):
		for text, what := range alerts {
			if strings.Contains(err.Error(), text) {
				advice = what
			}
		}
	case dropped(err) && o.TLSCertCB != nil:
		advice = "it ended the connection at once, and its log says why: it may not accept the certificate of --nats-cert (BLOTTER_NATS_CERT)"
	}
	if advice == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, advice)
}

// stranger says what to do for somebody whom the server does not know.
func stranger(o nats.Options) string {
	switch u, err := neturl.Parse(o.Url); {
	case o.Nkey != "":
		return "it knows no user with this seed (--nats-nkey, BLOTTER_NATS_NKEY), or was not told to load the file that names it"
	case err == nil && u.User != nil:
		return "it knows no user with the name and password of --nats (BLOTTER_NATS)"
	}
	return "it lets in nobody without a seed: give that of a user with --nats-nkey (BLOTTER_NATS_NKEY)"
}

// Redacted gives the addresses of servers without their passwords.
func Redacted(urls string) string {
	all := strings.Split(urls, ",")
	for i, one := range all {
		one = strings.TrimSpace(one)
		scheme := ""
		if !strings.Contains(one, "://") { // behind the first, it may be left out
			scheme = "nats://"
		}
		u, err := neturl.Parse(scheme + one)
		if err != nil {
			all[i] = "(an address that is none)"
			continue
		}
		all[i] = strings.TrimPrefix(u.Redacted(), scheme)
	}
	return strings.Join(all, ",")
}
