package transform

import (
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/registry"
)

// TestFirstLines tells headers from rows: a row may hold words that are names of the
// table, and none of its others may leave.
func TestFirstLines(t *testing.T) {
	keyless := func(t *registry.Table) {
		t.PrimaryKey, t.DMS.OpColumn, t.DMS.TimestampColumn, t.DMS.ChangeSeqColumn = nil, nil, nil, nil
	}
	for name, tt := range map[string]struct {
		change func(*registry.Table)
		line   string
		code   string // empty: it is a header
		text   string // of the report
	}{
		"all names":                         {keyless, "id,status,amount", "", ""},
		"some of them, others are new":      {keyless, "status,amount,note", "", ""},
		"all that are, among many new":      {keyless, "a,b,c,d,id,status,amount,e", "", ""},
		"one name of one":                   {keyless, "STATUS", "", ""},
		"one word of a row":                 {keyless, "status,Smith,12,open", CodeHeader, "only 1 may be of the table"},
		"two words of a row":                {keyless, "status,Smith,amount,Jones", CodeHeader, "only 2 may be of the table"},
		"a word twice in a row":             {keyless, "status,status,Smith", CodeHeader, "only 1 may be of the table"},
		"the only column, beside new ones":  {func(t *registry.Table) { keyless(t); t.Columns = t.Columns[1:2] }, "status,Smith", CodeHeader, "register more of its columns"},
		"a name that DMS adds counts":       {func(t *registry.Table) { keyless(t); t.DMS.TimestampColumn = ptr("ts") }, "ts,status,note", "", ""},
		"with a key, and little else":       {func(*registry.Table) {}, "id,note,more,else", "", ""},
		"with a key, but no word of a name": {func(*registry.Table) {}, "7,Smith,12,open", CodeHeader, "none of the 4 columns"},
		"two words, and a key that is not":  {func(*registry.Table) {}, "status,Smith,amount,Jones", CodeColumnMissing, "among the 4 of the file, of which these are known: status, amount; check"},
		"a word that is almost the key":     {func(t *registry.Table) { t.PrimaryKey = []string{"status"} }, "id,status1,amount,Jones", CodeColumnMissing, "is it column 2 of the file?"},
		"one word that is almost the key":   {func(*registry.Table) {}, "status,i_d,Smith,Jones", CodeColumnMissing, "which these are known: status; check"},
		"a before-image of a registered":    {func(t *registry.Table) { t.DMS.BeforeImagePrefix = ptr("before_") }, "status,before_status,Smith,Jones", CodeColumnMissing, "known: status, before_status;"},
		"a prefix before a value":           {func(t *registry.Table) { t.DMS.BeforeImagePrefix = ptr("S") }, "status,Smith,mith,Jones", CodeColumnMissing, "known: status;"},
		"an unfit name beside a key":        {func(*registry.Table) {}, "id,status,Smith\x01", CodeColumnUnknown, "column 3 of 3 is not registered"},
		"a word twice beside a key":         {func(*registry.Table) {}, "id,Smith,Smith", CodeHeader, "as column 2 and as column 3"},
		"registered columns only are told":  {func(*registry.Table) {}, "id,Smith,Smith\x01", CodeColumnUnknown, "expected columns (id long, status string, amount decimal(10, 2))"},
	} {
		t.Run(name, func(t *testing.T) {
			table := reports()
			table.DMS.Header = true
			tt.change(&table)
			b := newBench(t, table)
			file := b.put(loadKey, tt.line+"\n"+strings.Repeat("1,", strings.Count(tt.line, ","))+"1\n")
			if tt.code == "" {
				if m := b.mustRun(file).Manifest; m.Counts.RowsRead != 1 {
					t.Errorf("%d rows are read", m.Counts.RowsRead)
				}
				return
			}
			f := b.refused(file)
			if f.Code != tt.code || !strings.Contains(f.Error(), tt.text) {
				t.Errorf("refused with %s: %s", f.Code, f.Error())
			}
			for _, secret := range []string{"mith", "Jones", "12", "open", "i_d", "status1"} {
				if strings.Contains(strings.ReplaceAll(f.Error()+f.Column+f.Value, "LOAD", ""), secret) {
					t.Errorf("%q shows %q", f.Error(), secret)
				}
			}
		})
	}
}
