package natsauth

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// User is a user as a NATS server is told of it: once for each of its keys.
type User struct {
	Name        string // for people
	What        string // what it is for
	Key         string // public
	Permissions eventlog.Permissions
}

// Render writes the users as nats-server reads them: `users: […]`, to be included in its
// block `authorization` or in that of an account. There is no secret in it.
func Render(w io.Writer, users []User) error {
	var b strings.Builder
	b.WriteString("# Written by `blotter nats users`, which writes it anew: do not edit it here.\nusers: [\n")
	for _, u := range users {
		fmt.Fprintf(&b, "  # %s: %s\n  {nkey: %s, permissions: {\n", u.Name, u.What, u.Key)
		if len(u.Permissions.Deny) == 0 {
			list(&b, "publish", u.Permissions.Publish)
		} else {
			b.WriteString("    publish: {\n")
			list(&b, "allow", u.Permissions.Publish)
			list(&b, "deny", u.Permissions.Deny)
			b.WriteString("    }\n")
		}
		list(&b, "subscribe", u.Permissions.Subscribe)
		b.WriteString("  }}\n")
	}
	b.WriteString("]\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the users of the NATS server: %w", err)
	}
	return nil
}

// rendered is how Render begins a user.
var rendered = regexp.MustCompile(`(?m)^  # ([^:\n]+): .*\n  \{nkey: ([A-Z2-7]+),`)

// Known gives the public keys of the users that Render wrote, by name.
func Known(file []byte) map[string][]string {
	keys := map[string][]string{}
	for _, user := range rendered.FindAllSubmatch(file, -1) {
		keys[string(user[1])] = append(keys[string(user[1])], string(user[2]))
	}
	return keys
}

func list(b *strings.Builder, name string, subjects []string) {
	fmt.Fprintf(b, "    %s: [\n", name)
	for _, s := range subjects {
		fmt.Fprintf(b, "      %q\n", s)
	}
	b.WriteString("    ]\n")
}
