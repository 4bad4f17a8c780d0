package gluetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest/jsonserver"
)

// The bounds of Glue.
const (
	maxName      = 255
	maxParamKey  = 255
	maxParameter = 512_000
	maxComment   = 255
)

// account is the only one that the stand-in knows.
const account = "000000000000"

type database struct {
	input  databaseInput
	made   float64
	tables map[string]*tableEntry
}

type databaseInput struct {
	Name        string
	Description string            `json:",omitempty"`
	LocationURI string            `json:"LocationUri,omitempty"`
	Parameters  map[string]string `json:",omitempty"`
}

type tableEntry struct {
	input         TableInput
	version       int
	made, changed float64
	archived      int
}

// Column is one of a table.
type Column struct {
	Name       string
	Type       string            `json:",omitempty"`
	Comment    string            `json:",omitempty"`
	Parameters map[string]string `json:",omitempty"`
}

// Storage is a StorageDescriptor, as far as it is looked into.
type Storage struct {
	Columns             []Column        `json:",omitempty"`
	Location            string          `json:",omitempty"`
	AdditionalLocations []string        `json:",omitempty"`
	InputFormat         string          `json:",omitempty"`
	OutputFormat        string          `json:",omitempty"`
	SerdeInfo           json.RawMessage `json:",omitempty"`
	Parameters          map[string]string
	BucketColumns       []string        `json:",omitempty"`
	SortColumns         json.RawMessage `json:",omitempty"`
	Compressed          bool            `json:",omitempty"`
	NumberOfBuckets     int             `json:",omitempty"`

	StoredAsSubDirectories bool `json:",omitempty"`
}

// TableInput is a table as a caller says it.
type TableInput struct {
	Name              string
	Description       string            `json:",omitempty"`
	Owner             string            `json:",omitempty"`
	Parameters        map[string]string `json:",omitempty"`
	PartitionKeys     []Column          `json:",omitempty"`
	Retention         int               `json:",omitempty"`
	StorageDescriptor *Storage          `json:",omitempty"`
	TableType         string            `json:",omitempty"`
	LastAccessTime    float64           `json:",omitempty"`
	LastAnalyzedTime  float64           `json:",omitempty"`
	ViewOriginalText  string            `json:",omitempty"`
	ViewExpandedText  string            `json:",omitempty"`
}

// table is a table in the form in which GetTable tells it.
type table struct {
	TableInput
	DatabaseName, CatalogID string
	CreateTime, UpdateTime  float64
	VersionID               string
}

// MarshalJSON names what Go would name otherwise.
func (t table) MarshalJSON() ([]byte, error) {
	type plain struct {
		TableInput
		DatabaseName string
		CatalogID    string `json:"CatalogId"`
		CreateTime   float64
		UpdateTime   float64
		VersionID    string `json:"VersionId"`
	}
	return json.Marshal(plain(t))
}

func (e *tableEntry) told(database string) table {
	return table{e.input, database, account, e.made, e.changed, strconv.Itoa(e.version)}
}

// Table gives what a caller said of a table last; ok is false if there is none.
func (s *Server) Table(database, name string) (in TableInput, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.databases[database]; d != nil && d.tables[name] != nil {
		return d.tables[name].input, true
	}
	return TableInput{}, false
}

// Archived tells how many versions of a table are kept beside today's.
func (s *Server) Archived(database, name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.databases[database].tables[name].archived
}

// Change has somebody else change a table in Glue, which gives it a new version.
func (s *Server) Change(database, name string, change func(*TableInput)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.databases[database].tables[name]
	change(&e.input)
	e.version++
}

type at struct {
	CatalogID    string `json:"CatalogId"`
	DatabaseName string
	Name         string
}

func now() float64 { return float64(time.Now().UnixMilli()) / 1000 }

func noDatabase(name string) *jsonserver.Error {
	return jsonserver.Refuse("EntityNotFoundException", "Database "+name+" not found.")
}

func (s *Server) of(catalog, name string) (*database, *jsonserver.Error) {
	if catalog != "" && catalog != account {
		return nil, jsonserver.Refuse("AccessDeniedException", "the catalog of another account: "+catalog)
	}
	if d := s.databases[strings.ToLower(name)]; d != nil {
		return d, nil
	}
	return nil, noDatabase(name)
}

func (s *Server) find(in at) (*database, *tableEntry, *jsonserver.Error) {
	d, err := s.of(in.CatalogID, in.DatabaseName)
	if err != nil {
		return nil, nil, err
	}
	if t := d.tables[strings.ToLower(in.Name)]; t != nil {
		return d, t, nil
	}
	return nil, nil, jsonserver.Refuse("EntityNotFoundException", "Entity Not Found: "+in.Name)
}

func (s *Server) getDatabase(in at) (any, *jsonserver.Error) {
	d, err := s.of(in.CatalogID, in.Name)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Database": d.told()}, nil
}

func (d *database) told() any {
	return struct {
		databaseInput
		CatalogID  string `json:"CatalogId"`
		CreateTime float64
	}{d.input, account, d.made}
}

func (s *Server) getDatabases(struct {
	CatalogID  string `json:"CatalogId"`
	MaxResults int
	NextToken  string
}) (any, *jsonserver.Error) {
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.databases)) {
		all = append(all, s.databases[name].told())
	}
	return map[string]any{"DatabaseList": all}, nil
}

func (s *Server) createDatabase(in struct {
	CatalogID     string `json:"CatalogId"`
	DatabaseInput databaseInput
}) (any, *jsonserver.Error) {
	d := in.DatabaseInput
	d.Name = strings.ToLower(d.Name)
	if err := checkName(d.Name); err != nil {
		return nil, err
	}
	if err := checkParameters(d.Parameters); err != nil {
		return nil, err
	}
	if s.databases[d.Name] != nil {
		return nil, jsonserver.Refuse("AlreadyExistsException", "Database already exists.")
	}
	s.databases[d.Name] = &database{input: d, made: now(), tables: map[string]*tableEntry{}}
	return struct{}{}, nil
}

func (s *Server) getTable(in at) (any, *jsonserver.Error) {
	d, t, err := s.find(in)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Table": t.told(d.input.Name)}, nil
}

func (s *Server) getTables(in struct {
	CatalogID    string `json:"CatalogId"`
	DatabaseName string
	Expression   string
	MaxResults   int
	NextToken    string
}) (any, *jsonserver.Error) {
	d, err := s.of(in.CatalogID, in.DatabaseName)
	if err != nil {
		return nil, err
	}
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(d.tables)) {
		all = append(all, d.tables[name].told(d.input.Name))
	}
	return map[string]any{"TableList": all}, nil
}

func (s *Server) createTable(in struct {
	CatalogID    string `json:"CatalogId"`
	DatabaseName string
	TableInput   TableInput
}) (any, *jsonserver.Error) {
	d, err := s.of(in.CatalogID, in.DatabaseName)
	if err != nil {
		return nil, err
	}
	t := in.TableInput
	t.Name = strings.ToLower(t.Name)
	if err := t.check(); err != nil {
		return nil, err
	}
	if d.tables[t.Name] != nil {
		return nil, jsonserver.Refuse("AlreadyExistsException", "Table already exists.")
	}
	d.tables[t.Name] = &tableEntry{input: t, made: now(), changed: now()}
	return struct{}{}, nil
}

func (s *Server) updateTable(in struct {
	CatalogID    string `json:"CatalogId"`
	DatabaseName string
	TableInput   TableInput
	VersionID    *string `json:"VersionId"`
	SkipArchive  bool
	Force        bool
}) (any, *jsonserver.Error) {
	t := in.TableInput
	_, e, err := s.find(at{in.CatalogID, in.DatabaseName, t.Name})
	if err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	if in.VersionID != nil && *in.VersionID != strconv.Itoa(e.version) {
		return nil, jsonserver.Refuse("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
	}
	t.Name, e.changed = strings.ToLower(t.Name), now()
	e.input = t
	e.version++
	if !in.SkipArchive {
		e.archived++
	}
	return struct{}{}, nil
}

func (s *Server) deleteTable(in struct {
	at
	VersionID *string `json:"VersionId"`
}) (any, *jsonserver.Error) {
	d, e, err := s.find(in.at)
	if err != nil {
		return nil, err
	}
	delete(d.tables, e.input.Name)
	return struct{}{}, nil
}

// printable is what names are of.
var printable = regexp.MustCompile(`^[^\x00-\x1f\x7f]+$`)

func checkName(name string) *jsonserver.Error {
	if !printable.MatchString(name) || len(name) > maxName {
		return jsonserver.Refuse("InvalidInputException", fmt.Sprintf("the name %q is none: 1 to %d characters", name, maxName))
	}
	return nil
}

func checkParameters(p map[string]string) *jsonserver.Error {
	for k, v := range p {
		if k == "" || len(k) > maxParamKey || len(v) > maxParameter {
			return jsonserver.Refuse("InvalidInputException", fmt.Sprintf("the parameter %q is too long: %d of %d characters", k, len(v), maxParameter))
		}
	}
	return nil
}

func (t TableInput) check() *jsonserver.Error {
	if err := checkName(t.Name); err != nil {
		return err
	}
	if err := checkParameters(t.Parameters); err != nil {
		return err
	}
	if t.StorageDescriptor == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, c := range t.StorageDescriptor.Columns {
		if err := checkName(c.Name); err != nil {
			return err
		}
		name := strings.ToLower(c.Name)
		if seen[name] || len([]rune(c.Comment)) > maxComment {
			return jsonserver.Refuse("InvalidInputException", "the column "+c.Name+" is there twice, or its comment is too long")
		}
		seen[name] = true
	}
	return nil
}
