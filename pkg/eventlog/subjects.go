package eventlog

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
)

// Every name that the log uses on the server is built and read in this file.
//
//	stream      BLOTTER (Config.Stream), all of blotter.>
//	subject     blotter.<partition>.<db>.<table>.<service>.<event>
//	chain       blotter.<partition>.<db>.<table>.<service>.*
//	consumer    <service>-p<partition>
//
// Tokens are percent-escaped: letters, digits, '-', '_' and '@' stand for
// themselves, every other byte is %XX in upper-case hex. The text of a chain is
// the same wherever it is used: replicated servers key their check of expected
// sequences on the literal text.

const (
	root = "blotter"
	any1 = "*"
)

// Partitions is how many partitions the tables are spread over: each service has
// a consumer for each. It is fixed for the life of a stream, which remembers it.
type Partitions int

// maxPartitions keeps the consumers of all services, and reads beside them, below
// Config.MaxConsumers.
const maxPartitions = 64

// Of is the partition of a table: FNV-1a (32 bit) of "<db>.<table>" modulo n.
func (n Partitions) Of(table dms.TableID) int {
	h := fnv.New32a()
	h.Write([]byte(table.String()))
	return int(h.Sum32() % uint32(n)) //nolint:gosec // 1 to maxPartitions
}

// Subject is where a service publishes one type of event of a table. event is
// the message's own name, without its package, such as "FilesPublished".
func (n Partitions) Subject(table dms.TableID, service, event string) string {
	return strings.Join([]string{root, strconv.Itoa(n.Of(table)),
		escape(table.DB), escape(table.Table), escape(service), escape(event)}, ".")
}

// chain is the filter of all events of one service and table.
func (n Partitions) chain(table dms.TableID, service string) string {
	return strings.Join([]string{root, strconv.Itoa(n.Of(table)),
		escape(table.DB), escape(table.Table), escape(service), any1}, ".")
}

// allSubjects is what the stream takes.
func allSubjects() string { return root + ".>" }

// partitionSubjects are the filters of a consumer: in one partition, of each
// service in from the events in only[service], else the named events (all if
// none). They never overlap.
func partitionSubjects(partition int, from, events []string, only map[string][]string) []string {
	var out []string
	for _, s := range distinct(from) {
		wanted := events
		if narrow, ok := only[s]; ok {
			wanted = narrow
		}
		if len(wanted) == 0 {
			wanted = []string{""}
		}
		for _, e := range distinct(wanted) {
			token := any1
			if e != "" {
				token = escape(e)
			}
			out = append(out, strings.Join([]string{root, strconv.Itoa(partition), any1, any1, escape(s), token}, "."))
		}
	}
	return out
}

func distinct(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}

// filters gives the narrowest subject that holds all that f asks for, and
// none where f asks for everything: the server then need not match each message.
// Nor does it where f names a service alone. Of a log of many tables the server
// takes some 50 µs to find each next message of a service, and the reader 5 µs
// to pass over one: that pays for events that are rare.
func (n Partitions) filters(f Filter) []string {
	if f.Table.IsZero() && f.Event == "" {
		return nil
	}
	token := func(s string) string {
		if s == "" {
			return any1
		}
		return escape(s)
	}
	partition, db, table := any1, any1, any1
	if !f.Table.IsZero() {
		partition, db, table = strconv.Itoa(n.Of(f.Table)), escape(f.Table.DB), escape(f.Table.Table)
	}
	return []string{strings.Join([]string{root, partition, db, table, token(f.Service), token(f.Event)}, ".")}
}

// Address is what a subject says.
type Address struct {
	Partition int
	Table     dms.TableID
	Service   string
	Event     string
}

// ParseSubject reads what Subject has built.
func ParseSubject(subject string) (Address, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 6 || tokens[0] != root {
		return Address{}, fmt.Errorf("subject %q: expected %s.<partition>.<db>.<table>.<service>.<event>", subject, root)
	}
	var a Address
	var err error
	if a.Partition, err = strconv.Atoi(tokens[1]); err != nil {
		return Address{}, fmt.Errorf("subject %q: its partition is no number", subject)
	}
	for i, to := range []*string{&a.Table.DB, &a.Table.Table, &a.Service, &a.Event} {
		if *to, err = unescape(tokens[i+2]); err != nil {
			return Address{}, fmt.Errorf("subject %q: %w", subject, err)
		}
	}
	return a, nil
}

// ConsumerName is the durable consumer of a service and partition.
func ConsumerName(service string, partition int) string {
	return service + consumerInfix + strconv.Itoa(partition)
}

// consumerInfix stands between service and partition in the name of a consumer.
const consumerInfix = "-p"

// checkName accepts what may name a service: it is part of consumer names,
// which know no escaping.
func checkName(service string) error {
	if service == "" || escape(service) != service || strings.Contains(service, "@") {
		return fmt.Errorf("service name %q: expected letters, digits, '-' and '_'", service)
	}
	return nil
}

const upperHex = "0123456789ABCDEF"

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '@'
}

func escape(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = plain(s[i])
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

func unescape(token string) (string, error) {
	if !strings.Contains(token, "%") {
		return token, nil
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '%' {
			b.WriteByte(token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", fmt.Errorf("token %q ends inside an escape", token)
		}
		v, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("token %q has no hex digits after %%", token)
		}
		b.WriteByte(byte(v))
		i += 2
	}
	return b.String(), nil
}
