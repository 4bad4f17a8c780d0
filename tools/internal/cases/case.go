package cases

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// FileName is the name of the file that makes a folder a case.
const FileName = "case.json"

// Case is one case as its case.json tells it.
type Case struct {
	// Dir is the folder that the case was loaded from.
	Dir string `json:"-"`
	// Unknown tells of a key in case.json that means nothing here; empty if there
	// is none.
	Unknown string `json:"-"`

	FormatVersion int               `json:"format_version"`
	Name          string            `json:"name"`
	Description   string            `json:"description"`
	Strength      string            `json:"strength"`
	Tags          []string          `json:"tags"`
	Why           []json.RawMessage `json:"why"`
	Note          json.RawMessage   `json:"note"`
	Notes         json.RawMessage   `json:"notes"`

	Table       Table        `json:"table"`
	OtherTables []OtherTable `json:"other_tables"`
	DMS         Settings     `json:"dms"`

	// DeliveryOrder is AnyOrder or AsListed.
	DeliveryOrder string `json:"delivery_order"`
	Steps         []Step `json:"steps"`

	ExpectRows    string        `json:"expect_rows"`
	ExpectColumns []string      `json:"expect_columns"`
	Alternatives  []Alternative `json:"alternatives"`
}

// The delivery orders.
const (
	AnyOrder = "any"
	AsListed = "as_listed"
)

// Table is a registered table.
type Table struct {
	DB         string   `json:"db"`
	Name       string   `json:"table"`
	PrimaryKey []string `json:"primary_key"`
	Columns    []Column `json:"columns"`
}

// Column is a registered column. Nullable is true where the case is silent.
type Column struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable *bool  `json:"nullable"`
}

// OtherTable is a further table that the same files feed, with its own rows.
type OtherTable struct {
	Table
	ExpectRows    string
	ExpectColumns []string
}

// UnmarshalJSON reads the table's fields either beside the expectation or as
// an object under "table", as the case's own table has them.
func (o *OtherTable) UnmarshalJSON(data []byte) error {
	type expectation struct {
		ExpectRows    string   `json:"expect_rows"`
		ExpectColumns []string `json:"expect_columns"`
	}
	var nested struct {
		Table Table `json:"table"`
		expectation
	}
	if err := strict(data, &nested); err == nil {
		*o = OtherTable{nested.Table, nested.ExpectRows, nested.ExpectColumns}
		return nil
	}
	var flat struct {
		Table
		expectation
	}
	if err := json.Unmarshal(data, &flat); err != nil {
		return err
	}
	if flat.Name == "" {
		return errors.New("an entry of other_tables names no table")
	}
	*o = OtherTable{flat.Table, flat.ExpectRows, flat.ExpectColumns}
	return nil
}

// Settings are the settings of the DMS endpoint. A nil column name means that
// the files have no such column.
type Settings struct {
	Format            string  `json:"format"`
	Header            bool    `json:"header"`
	Delimiter         string  `json:"delimiter"`
	OpColumn          *string `json:"op_column"`
	OpInFullLoad      bool    `json:"op_in_full_load"`
	TimestampColumn   *string `json:"timestamp_column"`
	ChangeSeqColumn   *string `json:"change_seq_column"`
	BeforeImagePrefix *string `json:"before_image_prefix"`
	NullValue         string  `json:"csv_null_value"`
	Compression       string  `json:"compression"` // for people: readers see it in the bytes
	CDCPath           *string `json:"cdc_path"`
	DatePartition     *struct {
		Format    string `json:"format"`
		Separator string `json:"separator"`
	} `json:"date_partition"`
}

// The actions of a step.
const (
	Put       = "put"       // the object is written and told of
	Redeliver = "redeliver" // the same event comes again
)

// The kinds of a step's file.
const (
	FullLoad = "full_load"
	CDC      = "cdc"
)

// Step is one delivery.
type Step struct {
	N               int             `json:"n"`
	Action          string          `json:"action"`
	Key             string          `json:"key"`
	NotificationKey string          `json:"s3_notification_key"`
	File            string          `json:"file"` // empty: an object of no bytes
	Kind            string          `json:"kind"`
	Columns         []string        `json:"columns"`
	LastModified    time.Time       `json:"last_modified"`
	ETag            string          `json:"etag"`
	Size            int64           `json:"size"`
	Expect          Outcome         `json:"expect"`
	ExpectAny       []Outcome       `json:"expect_any"`
	ErrorContains   string          `json:"error_contains"`
	Note            json.RawMessage `json:"note"`
}

// Alternative is another acceptable result of a case, as a whole.
type Alternative struct {
	ID          string          `json:"id"`
	Description string          `json:"description"`
	StepsExpect map[int]Outcome `json:"steps_expect"` // by step number
	ExpectRows  string          `json:"expect_rows"`
	Note        json.RawMessage `json:"note"`
}

// Find gives the folders at and below the given ones that hold a case, in
// lexical order, each once.
func Find(dirs ...string) ([]string, error) {
	var found []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.IsDir() && d.Name() == FileName {
				found = append(found, filepath.Dir(path))
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for cases below %s: %w", dir, err)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// Load reads the case in a folder and checks it. A key that the format does not
// know is told of in Unknown: whoever runs the case says that there is more in it
// than was tried.
func Load(dir string) (*Case, error) {
	path := filepath.Join(dir, FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read case: %w", err)
	}
	c := &Case{Dir: dir}
	if err := strict(data, c); err != nil {
		*c = Case{Dir: dir, Unknown: strings.TrimPrefix(err.Error(), "json: ")}
		if err := json.Unmarshal(data, c); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Path gives the path of a file that the case names; empty where it names none.
func (c *Case) Path(name string) string {
	if name == "" {
		return ""
	}
	return filepath.Join(c.Dir, filepath.FromSlash(name))
}

// Tables gives the case's own table and the others that its files feed.
func (c *Case) Tables() []Table {
	tables := []Table{c.Table}
	for _, o := range c.OtherTables {
		tables = append(tables, o.Table)
	}
	return tables
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value")
	}
	return nil
}
