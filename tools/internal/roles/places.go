package roles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Places say where a system keeps everything. What is empty lies below the folder of
// the process, or, NATS, runs in it.
type Places struct {
	Raw     string `json:"raw,omitempty"`
	Staging string `json:"staging,omitempty"`
	Failed  string `json:"failed,omitempty"`
	Lake    string `json:"lake,omitempty"`
	Control string `json:"control,omitempty"`
	Hold    string `json:"hold,omitempty"`
	Catalog string `json:"catalog,omitempty"`
	Audit   string `json:"audit,omitempty"`
	NATS    string `json:"nats,omitempty"`
	Ingress string `json:"ingress,omitempty"`
	Alerts  string `json:"alerts,omitempty"`
}

// Place describes one of the Places.
type Place struct {
	Name string // as a flag has it
	What string // what lies there, and how it is written
	Of   func(*Places) *string

	parse func(uri string) (address, error)
	file  string // its name below the folder of the process
}

// Variable is the environment variable that names the place.
func (p Place) Variable() string { return "BLOTTER_" + strings.ToUpper(p.Name) }

// PlaceList describes all Places, in the order of the struct.
func PlaceList() []Place {
	folder := func(uri string) (address, error) { return parseAddress(uri, "a folder", schemeS3) }
	const orS3 = "folder or s3://BUCKET[/PREFIX]"
	return []Place{
		{"raw", "DMS files, which are only read: " + orS3, func(p *Places) *string { return &p.Raw }, folder, RawDir},
		{"staging", "what transforms make: " + orS3, func(p *Places) *string { return &p.Staging }, folder, StagingDir},
		{"failed", "files and rows that are set aside: " + orS3, func(p *Places) *string { return &p.Failed }, folder, FailedDir},
		{"lake", "files of the Iceberg tables: " + orS3, func(p *Places) *string { return &p.Lake }, folder, CuratedDir},
		{"control", "control store: SQLite file or dynamodb://TABLE", func(p *Places) *string { return &p.Control },
			func(uri string) (address, error) { return parseAddress(uri, "a file", schemeDynamo) }, ControlFile},
		{"hold", "list of files that wait: SQLite file or sqs://PREFIX of the queues' names", func(p *Places) *string { return &p.Hold },
			func(uri string) (address, error) { return parseAddress(uri, "a file", schemeSQS) }, holdFile},
		{"catalog", "Iceberg catalog: SQLite file or glue://[PREFIX of the databases' names][?account=ID&region=NAME]", func(p *Places) *string { return &p.Catalog },
			parseCatalog, CatalogFile},
		{"audit", "signed archive of the event log: " + orS3, func(p *Places) *string { return &p.Audit }, folder, AuditDir},
		{"nats", "NATS server: nats://HOST[:PORT][,…]; by default one runs in the process", func(p *Places) *string { return &p.NATS },
			parseNATS, "nats"},
		{"ingress", "queue that tells of objects: sqs://QUEUE; by default the raw bucket is looked into", func(p *Places) *string { return &p.Ingress },
			parseIngress, "ingress"},
		{"alerts", "where it is told that a table waits for an operator: ARNs of SNS topics and EventBridge buses, and https://…, with commas between, or none; by default nowhere", func(p *Places) *string { return &p.Alerts },
			parseAlerts, "alerts"},
	}
}

// The schemes of addresses; a path has none.
const (
	schemeS3     = "s3"
	schemeDynamo = "dynamodb"
	schemeSQS    = "sqs"
	schemeGlue   = "glue"
)

// address is where one place is: a path, or something of AWS.
type address struct {
	scheme string // empty: a path
	name   string // of the bucket, the table, or how queues' or databases' names begin
	prefix string // in the bucket; with "/" at its end if there is any
	path   string

	account, region string // of Glue's catalog; empty: those of the environment
}

// uri gives the address without "/" at its end.
func (a address) uri() string {
	if a.scheme == "" {
		return (&url.URL{Scheme: "file", Path: filepath.ToSlash(a.path)}).String()
	}
	if a.scheme == schemeGlue {
		return a.glueURI()
	}
	return strings.TrimSuffix(a.scheme+"://"+a.name+"/"+a.prefix, "/")
}

// named is how the name of each scheme looks.
var named = map[string]struct {
	form *regexp.Regexp
	says string
}{
	schemeS3:     {regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`), "s3://BUCKET[/PREFIX], the bucket of 3 to 63 small letters, digits, dots and hyphens"},
	schemeDynamo: {regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`), "dynamodb://TABLE, of 3 to 255 letters, digits, dots, hyphens and underscores"},
	schemeSQS:    {regexp.MustCompile(`^[a-zA-Z0-9_-]{1,41}$`), "sqs://PREFIX, of at most 41 letters, digits, hyphens and underscores"},
}

// prefixPart is a part of a prefix that means the same in every URI.
var prefixPart = regexp.MustCompile(`^[A-Za-z0-9_=@+.-]+$`)

// parseAddress reads a path or a URI of one of the schemes.
func parseAddress(uri, path string, schemes ...string) (address, error) {
	scheme, rest, isURI := strings.Cut(uri, "://")
	switch {
	case !isURI:
		return address{path: uri}, nil
	case scheme == "file":
		u, err := url.Parse(uri)
		if err != nil || u.Host != "" || !filepath.IsAbs(u.Path) {
			return address{}, fmt.Errorf("%q: expected file:///PATH", uri)
		}
		return address{path: u.Path}, nil
	case !slices.Contains(schemes, scheme):
		says := path
		for _, s := range schemes {
			says += " or " + s + "://…"
		}
		return address{}, fmt.Errorf("%q: expected %s", uri, says)
	}
	a := address{scheme: scheme, name: rest}
	if scheme == schemeS3 {
		a.name, rest, _ = strings.Cut(rest, "/")
		if rest = strings.TrimSuffix(rest, "/"); rest != "" {
			a.prefix = rest + "/"
			for part := range strings.SplitSeq(rest, "/") {
				if !prefixPart.MatchString(part) || part == "." || part == ".." {
					return address{}, fmt.Errorf("%q: the prefix has a part %q; expected letters, digits and _=@+.- between slashes", uri, part)
				}
			}
		}
	}
	if form := named[scheme]; !form.form.MatchString(a.name) {
		return address{}, fmt.Errorf("%q: expected %s", uri, form.says)
	}
	return a, nil
}

// queueName is how a standard queue of SQS is named.
var queueName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

// parseIngress reads the name of a queue.
func parseIngress(uri string) (address, error) {
	name, ok := strings.CutPrefix(uri, schemeSQS+"://")
	if !ok || !queueName.MatchString(name) {
		return address{}, fmt.Errorf("%q: expected sqs://QUEUE, the name of a standard queue, of at most 80 letters, digits, hyphens and underscores", uri)
	}
	return address{scheme: schemeSQS, name: name}, nil
}

// parseNATS checks the addresses of servers. They may hold a password, which no error
// shows. Behind the first, the scheme may be left out.
func parseNATS(uri string) (address, error) {
	for i, one := range strings.Split(uri, ",") {
		one = strings.TrimSpace(one)
		if i > 0 && !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		u, err := url.Parse(one)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return address{}, errors.New("expected nats://HOST[:PORT], tls://…, ws://… or wss://…, with commas between several")
		}
	}
	return address{}, nil
}

// address gives a place of the configuration; one that is not said lies below dir.
func (c Config) address(name string) (address, error) {
	for _, p := range PlaceList() {
		if p.Name != name {
			continue
		}
		if uri := *p.Of(&c.Places); uri != "" {
			return p.parse(uri)
		}
		return address{path: c.path(p.file)}, nil
	}
	panic("there is no place " + name)
}

// Validate reports all faults together: addresses that are none, and buckets of which
// one lies in another.
func (p Places) Validate() error {
	var faults []error
	var buckets []struct{ name, at string }
	for _, place := range PlaceList() {
		uri := *place.Of(&p)
		if uri == "" {
			continue
		}
		a, err := place.parse(uri)
		if err != nil {
			faults = append(faults, fmt.Errorf("--%s (%s): %w", place.Name, place.Variable(), err))
			continue
		}
		if a.scheme == schemeGlue && !strings.HasPrefix(p.Lake, schemeS3+"://") {
			faults = append(faults, fmt.Errorf("--%s (%s): a catalog in Glue is of tables on S3; say --lake s3://… (BLOTTER_LAKE)", place.Name, place.Variable()))
		}
		if a.scheme != schemeS3 {
			continue
		}
		at := a.uri() + "/"
		for _, other := range buckets {
			if strings.HasPrefix(at, other.at) || strings.HasPrefix(other.at, at) {
				faults = append(faults, fmt.Errorf("--%s %s and --%s %s: one lies in the other; give each a bucket or a prefix of its own",
					other.name, strings.TrimSuffix(other.at, "/"), place.Name, a.uri()))
			}
		}
		buckets = append(buckets, struct{ name, at string }{place.Name, at})
	}
	return errors.Join(faults...)
}

// Or gives p, and what it leaves out from other.
func (p Places) Or(other Places) Places {
	for _, place := range PlaceList() {
		if uri := place.Of(&p); *uri == "" {
			*uri = *place.Of(&other)
		}
	}
	return p
}

// PlacesOf reads the environment.
func PlacesOf(getenv func(string) string) Places {
	var p Places
	for _, place := range PlaceList() {
		*place.Of(&p) = getenv(place.Variable())
	}
	return p
}

// placesFile remembers where the system of a folder keeps everything that does not
// lie there, so that commands need not be told again.
const placesFile = "places.json"

// ReadPlaces gives the places that the system of dir was last started with; none if
// none ever was.
func ReadPlaces(dir string) (Places, error) {
	var p Places
	b, err := os.ReadFile(filepath.Join(dir, placesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return p, fmt.Errorf("read %s, which says where the system keeps everything: %w", filepath.Join(dir, placesFile), err)
	}
	return p, nil
}

// Remember notes the places for the commands of later, paths in full. The address of
// NATS may hold a password: nobody else can read the file.
func (p *Process) Remember() error {
	if p.cfg.Places == (Places{}) {
		return nil // nor were there any before: they would be in force
	}
	places := p.cfg.Places
	for _, place := range PlaceList() {
		uri := place.Of(&places)
		if *uri == "" || place.Name == "nats" {
			continue
		}
		a, err := place.parse(*uri)
		if err != nil {
			return err
		}
		if a.scheme != "" {
			continue
		}
		if *uri, err = filepath.Abs(a.path); err != nil {
			return fmt.Errorf("find %s: %w", a.path, err)
		}
	}
	b, err := json.MarshalIndent(places, "", "  ")
	if err != nil {
		return fmt.Errorf("remember where everything is: %w", err)
	}
	name := p.cfg.path(placesFile)
	if err = os.WriteFile(name+".new", b, 0o600); err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("remember where everything is: %w", err)
	}
	return nil
}
