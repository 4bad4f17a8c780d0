package dms

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParseName(t *testing.T) {
	load := func(n uint64) Name { return Name{Kind: KindLoad, Number: n, Format: FormatCSV} }
	change := func(s string) Name { return Name{Kind: KindChange, Time: s, Format: FormatCSV} }
	with := func(n Name, f func(*Name)) Name { f(&n); return n }
	in := func(n Name, folder string) Name { n.Folder = folder; return n }
	tests := []struct {
		rel  string
		want Name
	}{
		{"LOAD00000001.csv", load(1)},
		{"LOAD0000000A.csv", load(10)},
		{"LOAD0000000a.csv", load(10)},
		{"LOAD00000010.csv", load(16)},
		{"LOAD00001.csv", load(1)},
		{"LOAD1.csv", load(1)},
		{"LOAD0000000000000000000FF.csv", load(255)},
		{"LOAD00000001.csv.gz", load(1)},
		{"LOAD00000001.parquet", with(load(1), func(n *Name) { n.Format = FormatParquet })},
		{"SEGMENT1_LOAD00000002.csv", with(load(2), func(n *Name) { n.Segment = 1 })},
		{"SEGMENT12_LOAD0000000F.csv.gz", with(load(15), func(n *Name) { n.Segment = 12 })},
		{"p2024/LOAD00000001.csv", in(load(1), "p2024")},
		{"part=1/sub=ä +%/LOAD00000001.csv", in(load(1), "part=1/sub=ä +%")},
		{"20221023-013830913.csv", change("20221023-013830913")},
		{"20141029-1134010000.csv", change("20141029-1134010000")},
		{"20221023-013830913.csv.gz", change("20221023-013830913")},
		{"20221023-013830913.parquet", with(change("20221023-013830913"), func(n *Name) { n.Format = FormatParquet })},
		{"20221023/20221023-013830913.csv", in(change("20221023-013830913"), "20221023")},
		{"2022/10/23/20221023-013830913.csv", in(change("20221023-013830913"), "2022/10/23")},
		{"2022/10/23/01/20221023-013830913.csv", in(change("20221023-013830913"), "2022/10/23/01")},
		{"2022-10/20221023-013830913.csv", in(change("20221023-013830913"), "2022-10")},
		{"10_2022_23/20221023-013830913.csv", in(change("20221023-013830913"), "10_2022_23")},
		{"23102022/20221023-013830913.csv", in(change("20221023-013830913"), "23102022")},
		{"awsdms_raw/rms/reports/LOAD00000001.csv", in(load(1), "awsdms_raw/rms/reports")},
		{"awsdms_raw/reports/2022/20221023-013830913.csv", in(change("20221023-013830913"), "awsdms_raw/reports/2022")},
		{"50%25 & more/20240115-070500000.csv", in(change("20240115-070500000"), "50%25 & more")},
	}
	for _, tt := range tests {
		t.Run(tt.rel, func(t *testing.T) {
			got, why := ParseName(tt.rel, NameRules{})
			if why != nil || got != tt.want {
				t.Errorf("got %+v, %+v; want %+v", got, why, tt.want)
			}
		})
	}
}

func TestParseNameOfTransactionFiles(t *testing.T) {
	want := Name{Kind: KindTransaction, Time: "20201117-153046033", Format: FormatCSV}
	for _, place := range []Place{InTransactions, Anywhere} {
		if got, why := ParseName("CDC_TXN-20201117153046033.csv", NameRules{Place: place}); why != nil || got != want {
			t.Errorf("got %+v, %+v", got, why)
		}
	}
	want.Time = "20201117-1530460331"
	if got, why := ParseName("CDC_TXN-202011171530460331.csv.gz", NameRules{Place: InTransactions}); why != nil || got != want {
		t.Errorf("got %+v, %+v", got, why)
	}
	for rel, place := range map[string]Place{"CDC_TXN-20201117153046033.csv": InTable, "LOAD00000001.csv": InTransactions, "20221023-013830913.csv": InTransactions} {
		if _, why := ParseName(rel, NameRules{Place: place}); why == nil || why.Reason != ReasonMisplaced {
			t.Errorf("%s: %+v, want misplaced", rel, why)
		}
	}
}

func TestParseNameRefuses(t *testing.T) {
	tests := map[Reason][]string{
		ReasonFolderMarker: {"", "part/", "part_$folder$"},
		ReasonMarker:       {"_SUCCESS", "part/_SUCCESS", "_committed_123", ".DS_Store"},
		ReasonDescription:  {"LOAD00000001.dfm", "20221023-013830913.dfm"},
		ReasonControlTable: {"awsdms_status/LOAD00000001.csv", "awsdms_apply_exceptions/20221023-013830913.csv", "rms/AWSDMS_history/LOAD1.csv",
			"dms/rms/awsdms_status/2022/10/23/01/20221023-013830913.csv", "rms/awsdms_status/2022-10-23/20221023-013830913.csv",
			"dms/rms/awsdms_status/part1/LOAD00000001.csv", "rms/awsdms_validation_failures_v1/p=1/SEGMENT1_LOAD00000001.csv",
			"dms/rms/awsdms_cdc_1a2b/p=1/2025030310/20250303-100000000.parquet", "rms/AWSDMS_Changes000000000001/x/20250303-100000000.csv"},
		ReasonNotDMS: {
			"reports.csv", "LOAD.csv", "LOAD0000000G.csv", "LOAD+1.csv", "LOAD10000000000000000.csv", "load00000001.csv", "LOAD00000001.CSV",
			"LOAD00000001.parquet.gz", "LOAD00000001.csv.bz2", "LOAD00000001.csv.tmp", "LOAD00000001", "SEGMENT_LOAD00000001.csv", "SEGMENT1LOAD00000001.csv",
			"SEGMENTx_LOAD00000001.csv", "20221023-01383091.csv", "20221023-01383091345.csv", "20221323-013830913.csv", "20220230-013830913.csv",
			"20221023-253830913.csv", "20221023_013830913.csv", "2022102a-013830913.csv", "CDC_TXN-2020111715304603.csv", "CDC_TXN-.csv",
			"CDC_TXN-20201117153046033.parquet", "LOAD00000001.csv\x00", "日本.csv",
		},
	}
	for reason, rels := range tests {
		for _, rel := range rels {
			got, why := ParseName(rel, NameRules{Place: Anywhere})
			if why == nil || why.Reason != reason || why.Detail == "" {
				t.Errorf("%q: %+v, %+v; want %s", rel, got, why, reason)
			}
		}
	}
}

func TestCompareTimes(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"20221023-013830913", "20221023-013830913", 0},
		{"20221023-013830913", "20221023-0138309130", 0},
		{"20221023-013830913", "20221023-0138309131", -1},
		{"20221023-013830914", "20221023-0138309139", 1},
		{"20221022-235959999", "20221023-000000000", -1},
	} {
		if got := CompareTimes(tt.a, tt.b); got != tt.want {
			t.Errorf("CompareTimes(%s, %s) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestDecodeNotificationKey(t *testing.T) {
	for in, want := range map[string]string{
		"dms/rms/reports/LOAD00000001.csv":                                  "dms/rms/reports/LOAD00000001.csv",
		"dms/rms/case+notes%2B2024/50%2525+%26+more/20240115-070500000.csv": "dms/rms/case notes+2024/50%25 & more/20240115-070500000.csv",
		"dms/z%C3%BCrich/LOAD1.csv":                                         "dms/zürich/LOAD1.csv",
		"dms/b%3D1/LOAD1.csv":                                               "dms/b=1/LOAD1.csv",
	} {
		if got, err := DecodeNotificationKey(in); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"dms/50%", "dms/%zz", "dms/%ff"} {
		if got, err := DecodeNotificationKey(in); err == nil {
			t.Errorf("%q gave %q, want an error", in, got)
		}
	}
}

func TestTableIDAndKindAsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := TableID{DB: rapid.StringMatching(`[a-z_]{1,5}`).Draw(t, "db"), Table: rapid.StringMatching(`[a-z.@ ]{1,5}`).Draw(t, "table")}
		text, err := id.MarshalText()
		var back TableID
		if err != nil || back.UnmarshalText(text) != nil || back != id {
			t.Fatalf("%v came back as %v (%v)", id, back, err)
		}
	})
	for _, k := range []FileKind{0, KindLoad, KindChange, KindTransaction} {
		text, _ := k.MarshalText()
		back := FileKind(9)
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Errorf("%v came back as %v, %v", k, back, err)
		}
	}
	var k FileKind
	if err := k.UnmarshalText([]byte("cdc")); err == nil {
		t.Error("an unknown kind was read")
	}
	var id TableID
	if err := id.UnmarshalText([]byte("rms")); err == nil {
		t.Error("a table without a database was read")
	}
	if !(TableID{"rms", TransactionTable}).IsTransactions() || RawTable.IsZero() {
		t.Error("pseudo-tables")
	}
}
