package natsauth

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Credentials say as whom a process connects, and whom it believes to be the server:
// names of files, which are read when they are needed. Empty: as nobody, without TLS
// unless the address asks for it, and whom the machine believes.
type Credentials struct {
	Seed string // of the user's NKey
	CA   string // certificates of the authorities that sign the servers'
	Cert string // the process's own certificate, with the rest of its chain
	Key  string // … and its key
}

// Validate reports what lacks.
func (c Credentials) Validate() error {
	if (c.Cert == "") != (c.Key == "") {
		return errors.New("a certificate and its key go together (--nats-cert, --nats-key): one of them is missing")
	}
	return nil
}

// Options opens a connection with them. The files are read again with each connection,
// so that certificates may be renewed in place; a seed may not, since it is the user. No
// error shows what is in a file.
func (c Credentials) Options() ([]nats.Option, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var options []nats.Option
	if c.Seed != "" {
		public, err := publicOf(c.Seed)
		if err != nil {
			return nil, err
		}
		sign, err := nats.NkeyOptionFromSeed(c.Seed)
		if err != nil {
			return nil, fmt.Errorf("read the seed in %s: %w", c.Seed, err)
		}
		options = append(options, sign, nats.CustomInboxPrefix(Inbox(public)))
	}
	if c.CA != "" {
		options = append(options, nats.RootCAs(c.CA))
	}
	if c.Cert != "" {
		options = append(options, nats.ClientCert(c.Cert, c.Key))
	}
	return options, nil
}

// Inbox is how the subjects begin over which the user of a public key is answered. They
// are its own, so that nobody else reads its answers.
func Inbox(public string) string { return "_INBOX." + public }
