package guide

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/registry"
)

// TestBlocks tries every block, and fails on those that no rule tries.
func TestBlocks(t *testing.T) {
	t.Parallel()
	blocks, _ := readGuide(t)
	recipes := map[string][]block{}
	var names []string
	for i, b := range blocks {
		if in, ok := b.attrs["in"]; ok {
			if recipes[in] == nil {
				names = append(names, in)
			}
			recipes[in] = append(recipes[in], b)
			continue
		}
		switch {
		case b.lang == "json":
			tryJSON(t, b)
		case b.is("yaml", "whole"):
			parse(t, b, "whole.yaml")
		case b.is("yaml", "refused"):
			if i+1 == len(blocks) || !blocks[i+1].is("text", "faults") {
				t.Errorf("%s: what it says has to follow", b)
			}
		case b.is("text", "faults"):
			if _, err := registry.Parse([]byte(blocks[i-1].text), "rms.yaml"); err == nil || err.Error() != strings.TrimSpace(b.text) {
				t.Errorf("%s: the registration before it says\n%v", b, err)
			}
		default:
			t.Errorf("%s: no rule tries this block", b)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { tryRecipe(t, recipes[name]) })
	}
}

func parse(t *testing.T, b block, file string) {
	t.Helper()
	if _, err := registry.Parse([]byte(b.text), file); err != nil {
		t.Errorf("%s: %v", b, err)
	}
}

// knownKeys are the names of settings (DMS API reference, "S3Settings"; user
// guide, "Specifying task settings") that a guide may advise, by kind of block.
var knownKeys = map[string][]string{
	"endpoint": {
		"AddColumnName", "BucketFolder", "BucketName", "CdcInsertsAndUpdates", "CdcInsertsOnly", "CdcMaxBatchInterval", "CdcMinFileSize",
		"CdcPath", "CompressionType", "CsvDelimiter", "CsvNullValue", "DataFormat", "DatePartitionEnabled", "IncludeOpForFullLoad",
		"ParquetTimestampInMillisecond", "PreserveTransactions", "Rfc4180", "TimestampColumnName", "UseTaskStartTimeForFullLoadTimestamp",
	},
	"mappings": {"rules"},
	"settings": {"TargetMetadata", "ChangeProcessingDdlHandlingPolicy", "ErrorBehavior"},
}

// tryJSON checks that a block is JSON without repeated rules or misspelt settings.
func tryJSON(t *testing.T, b block) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(b.text), &object); err != nil {
		t.Errorf("%s: %v", b, err)
		return
	}
	if len(b.words) != 1 || knownKeys[b.words[0]] == nil {
		t.Errorf("%s: what kind of settings is it?", b)
		return
	}
	for key := range object {
		if !slices.Contains(knownKeys[b.words[0]], key) {
			t.Errorf("%s: %s is not known", b, key)
		}
	}
	rules, _ := object["rules"].([]any)
	ids := map[any]bool{}
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		if id := rule["rule-id"]; id == nil || ids[id] {
			t.Errorf("%s: rule-id %v is missing or stands twice", b, id)
		} else {
			ids[id] = true
		}
	}
}

// keyLists are registrations with a key that is not known, in each place; the
// refusal lists those that are.
var keyLists = []string{
	"x: 1", "source: {x: 1}", "dms: {x: 1}", "dms: {date_partition: {x: 1}}", "load: {x: 1}", "reports: {x: 1}",
	"tables: [{x: 1}]", "tables: [{job: {x: 1}}]", "tables: [{layouts: [{x: 1}]}]", "tables: [{columns: [{x: 1}]}]",
}

// TestKeys: the guide names every key of the registration file.
func TestKeys(t *testing.T) {
	t.Parallel()
	blocks, prose := readGuide(t)
	for _, b := range blocks {
		prose += b.text
	}
	expected := regexp.MustCompile(`x: the key is not known: expected (.*)`)
	for _, text := range keyLists {
		_, err := registry.Parse([]byte(text), "t")
		found := expected.FindStringSubmatch(err.Error())
		if found == nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for key := range strings.SplitSeq(found[1], ", ") {
			if !regexp.MustCompile(`\b` + key + `\b`).MatchString(prose) {
				t.Errorf("key %s is missing in the guide", key)
			}
		}
	}
}

var typeRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (`[^|]*) \\|$")
var code = regexp.MustCompile("`([^`]+)`")

// TestTypes: the names of types in the guide's table are what it says.
func TestTypes(t *testing.T) {
	t.Parallel()
	_, prose := readGuide(t)
	_, section, found := strings.Cut(prose, "\n### Types\n")
	section, _, _ = strings.Cut(section, "\n### ")
	rows := typeRow.FindAllStringSubmatch(section, -1)
	if !found || len(rows) < 13 {
		t.Fatalf("%d rows of types", len(rows))
	}
	for _, row := range rows {
		for _, name := range code.FindAllStringSubmatch(row[2], -1) {
			if got, err := registry.ParseType(name[1]); err != nil || got.String() != row[1] {
				t.Errorf("%s is %s, the guide says %s (%v)", name[1], got, row[1], err)
			}
		}
	}
}

// codeFiles declare the codes of what is refused.
var codeFiles = []string{"../../../pkg/transform/codes.go", "../../../pkg/dms/csverror.go"}

// TestCodes: the guide says what to do for every code of a refusal, and names no
// code that there is not.
func TestCodes(t *testing.T) {
	t.Parallel()
	_, prose := readGuide(t)
	_, section, _ := strings.Cut(prose, "\n## 6. ")
	var known, named []string
	for _, file := range codeFiles {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range regexp.MustCompile(`= "([a-z]+\.[a-z0-9_]+)"`).FindAllStringSubmatch(string(source), -1) {
			known = append(known, c[1])
		}
	}
	for _, c := range regexp.MustCompile("`((?:csv|file|row|txn|value|object)\\.[a-z0-9_]+)`").FindAllStringSubmatch(section, -1) {
		named = append(named, c[1])
	}
	slices.Sort(known)
	slices.Sort(named)
	if len(known) == 0 || !slices.Equal(known, slices.Compact(named)) {
		t.Errorf("the codes are\n%v\nthe guide names\n%v", known, named)
	}
}
