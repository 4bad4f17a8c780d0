package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openblotter/blotter/pkg/natsauth"
)

// credential is one file that says as whom a NATS server is reached.
type credential struct {
	name string // as a flag has it
	what string
	of   func(*natsauth.Credentials) *string
}

// variable is the environment variable that names the file.
func (c credential) variable() string {
	return "BLOTTER_" + strings.ToUpper(strings.ReplaceAll(c.name, "-", "_"))
}

// credentialList describes all of them, in the order of natsauth.Credentials.
var credentialList = []credential{
	{"nats-nkey", "file with the seed of the user, as `blotter nats users` makes it", func(c *natsauth.Credentials) *string { return &c.Seed }},
	{"nats-ca", "file with the authorities that sign the servers' certificates", func(c *natsauth.Credentials) *string { return &c.CA }},
	{"nats-cert", "file with a certificate to show to the server", func(c *natsauth.Credentials) *string { return &c.Cert }},
	{"nats-key", "file with the key of that certificate", func(c *natsauth.Credentials) *string { return &c.Key }},
}

func addCredentialFlags(flags *pflag.FlagSet, hidden bool) {
	for _, c := range credentialList {
		what := strings.NewReplacer("`", "").Replace(c.what) // pflag takes what they enclose for the value's name
		flags.String(c.name, "", what+" ["+c.variable()+"]")
		flags.Lookup(c.name).Hidden = hidden
	}
}

// credentialsOf gives them as flags say, else the environment. A flag is refused where no
// server is named.
func credentialsOf(cmd *cobra.Command, getenv func(string) string, server string) (natsauth.Credentials, error) {
	var all natsauth.Credentials
	said := ""
	for _, c := range credentialList {
		*c.of(&all) = getenv(c.variable())
		if flag := cmd.Flags().Lookup(c.name); flag != nil && flag.Changed {
			*c.of(&all) = flag.Value.String()
			said = c.name
		}
	}
	if said != "" && server == "" {
		return all, fmt.Errorf("--%s is for a NATS server that is named with --nats (BLOTTER_NATS)", said)
	}
	return all, nil
}
