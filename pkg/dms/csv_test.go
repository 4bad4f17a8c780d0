package dms

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// readAll reads text and shows each field as it is, a quoted one in brackets.
func readAll(r io.Reader, opt CSVOptions) ([][]string, error) {
	c := NewCSVReader(r, opt)
	var out [][]string
	for {
		rec, err := c.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if rec.Row() != int64(len(out)+1) {
			return out, fmt.Errorf("row %d after %d records", rec.Row(), len(out))
		}
		var row []string
		for i := range rec.Len() {
			f := rec.Field(i)
			if f.Quoted {
				row = append(row, "["+string(f.Text)+"]")
			} else {
				row = append(row, string(f.Text))
			}
		}
		out = append(out, row)
	}
}

// TestCSVKeepsNotUTF8: text that is not UTF-8 is told of, and shifts nothing.
func TestCSVKeepsNotUTF8(t *testing.T) {
	text := "a,\xff,\xe2\x82\n\"x\xff\"\"\n\",b\nc,d\r\n\xff"
	c := NewCSVReader(iotest.OneByteReader(strings.NewReader(text)), CSVOptions{KeepNotUTF8: true})
	var got []string
	for {
		r, err := c.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		field, found := r.NotUTF8()
		line := fmt.Sprint(r.Row(), field, found)
		for i := range r.Len() {
			line += fmt.Sprintf(" %q", r.Field(i).Text)
		}
		got = append(got, line)
	}
	want := []string{`1 1 true "a" "\xff" "\xe2\x82"`, `2 0 true "x\xff\"\n" "b"`, `3 -1 false "c" "d"`, `4 0 true "\xff"`}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

func TestCSVReader(t *testing.T) {
	lines := CSVOptions{EmptyLines: true}
	tests := []struct {
		name string
		text string
		opt  CSVOptions
		want [][]string
	}{
		{name: "empty file", text: ""},
		{name: "empty file of one column", text: "", opt: lines},
		{name: "simple", text: "a,b\nc,d\n", want: [][]string{{"a", "b"}, {"c", "d"}}},
		{name: "no line end at the end", text: "a,b\nc,d", want: [][]string{{"a", "b"}, {"c", "d"}}},
		{name: "CRLF", text: "a,b\r\n\"c\",d\r\n", want: [][]string{{"a", "b"}, {"[c]", "d"}}},
		{name: "CRLF after a quote", text: "a,\"b\"\r\nc,d\r\n", want: [][]string{{"a", "[b]"}, {"c", "d"}}},
		{name: "empty fields", text: ",\n\"\",\n,\"\"\n", want: [][]string{{"", ""}, {"[]", ""}, {"", "[]"}}},
		{name: "a delimiter at the end", text: "\"a\",", want: [][]string{{"[a]", ""}}},
		{name: "empty lines are nothing", text: "\n\na,b\n\r\nc,d\n\n", want: [][]string{{"a", "b"}, {"c", "d"}}},
		{name: "empty lines are rows", text: "\na\n\r\n\"\"\n", opt: lines, want: [][]string{{""}, {"a"}, {""}, {"[]"}}},
		{name: "quoted null token", text: "NULL,\"NULL\"\n", want: [][]string{{"NULL", "[NULL]"}}},
		{name: "doubled quotes", text: "\"say \"\"hi\"\"\",\"\"\"\"\n", want: [][]string{{`[say "hi"]`, `["]`}}},
		{name: "line ends in quotes", text: "\"a\r\nb\nc\rd\",e\n", want: [][]string{{"[a\r\nb\nc\rd]", "e"}}},
		{name: "CR is text", text: "a\rb,c\n", want: [][]string{{"a\rb", "c"}}},
		{name: "CR at the end of the file", text: "a,b\r", want: [][]string{{"a", "b"}}},
		{name: "byte order mark", text: "\ufeffa,b\n", want: [][]string{{"a", "b"}}},
		{name: "byte order mark and quote", text: "\ufeff\"a\",b\n", want: [][]string{{"[a]", "b"}}},
		{name: "byte order mark alone", text: "\ufeff"},
		{name: "byte order mark later is text", text: "a,\ufeffb\n", want: [][]string{{"a", "\ufeffb"}}},
		{name: "blanks count", text: " a , b\n", want: [][]string{{" a ", " b"}}},
		{name: "tabs", text: "a,b\t\"c\td\"\n", opt: CSVOptions{Delimiter: '\t'}, want: [][]string{{"a,b", "[c\td]"}}},
		{name: "no ASCII", text: "Zoë,\"naïve, 日本\",🚓\n", want: [][]string{{"Zoë", "[naïve, 日本]", "🚓"}}},
		{name: "NUL is text", text: "a\x00b,c\n", want: [][]string{{"a\x00b", "c"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text)), iotest.DataErrReader(strings.NewReader(tt.text))} {
				got, err := readAll(r, tt.opt)
				if err != nil || !reflect.DeepEqual(got, tt.want) {
					t.Errorf("read %q, %v; want %q", got, err, tt.want)
				}
			}
		})
	}
}

func TestCSVReaderRefuses(t *testing.T) {
	small := CSVOptions{MaxField: 8}
	tests := []struct {
		name string
		text string
		opt  CSVOptions
		want CSVError
	}{
		{"bare quote", "a,b\nc,d\"e\n", CSVOptions{}, CSVError{CSVBareQuote, 2, 1, 7}},
		{"bare quote after a blank", "a, \"b\"\n", CSVOptions{}, CSVError{CSVBareQuote, 1, 1, 3}},
		{"text after a quote", "a,b\n\"c\"d,e\n", CSVOptions{}, CSVError{CSVTextAfter, 2, 0, 7}},
		{"CR after a quote", "\"a\"\rb\n", CSVOptions{}, CSVError{CSVTextAfter, 1, 0, 3}},
		{"unclosed", "a,\"b\nc,d\n", CSVOptions{}, CSVError{CSVUnclosedQuote, 1, 1, 2}},
		{"unclosed at once", "a,b\nc,\"", CSVOptions{}, CSVError{CSVUnclosedQuote, 2, 1, 6}},
		{"bad UTF-8", "a,b\nc,d\xff\n", CSVOptions{}, CSVError{CSVNotUTF8, 2, 1, 6}},
		{"bad UTF-8 in quotes", "\xef\xbb\xbfa,\"b\xe2\x82\"\n", CSVOptions{}, CSVError{CSVNotUTF8, 1, 1, 5}},
		{"UTF-16", "\xff\xfea\x00,\x00", CSVOptions{}, CSVError{CSVNotUTF8, 1, 0, 0}},
		{"long field", "a\nb,123456789\n", small, CSVError{CSVFieldSize, 2, 1, 4}},
		{"long quoted field", "\"a\",\"123456789\"\n", small, CSVError{CSVFieldSize, 1, 1, 4}},
		{"long record", "a\n1,2,3,4,5,6,7,8,9,0\n", small, CSVError{CSVRecordSize, 2, 0, 2}},
		{"long quoted record", "\"1\",2,3,4,5,6,7,8,9,0\n", small, CSVError{CSVRecordSize, 1, 0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.text), iotest.OneByteReader(strings.NewReader(tt.text))} {
				_, err := readAll(r, tt.opt)
				got, ok := AsCSVError(err)
				if !ok || *got != tt.want {
					t.Errorf("error %v; want %v", err, &tt.want)
				}
			}
		})
	}
}

func TestCSVReaderPassesFaultsOn(t *testing.T) {
	fault := errors.New("gzip: invalid checksum")
	for _, text := range []string{"", "a,b\n", "a,b\nc,d", "a,b\n\"c", "a,b\n\"c\"", "a,b\n\"c\",", "a,b\n\"c\"\r"} {
		r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(fault))
		got, err := readAll(r, CSVOptions{})
		if !errors.Is(err, fault) {
			t.Errorf("%q: read %q, %v; want the fault", text, got, err)
		}
	}
}

func TestCSVErrorShowsNoText(t *testing.T) {
	_, err := readAll(strings.NewReader("a,secret\"\n"), CSVOptions{})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v holds text of the file", err)
	}
	want := "a quote stands inside an unquoted field (row 1, field 2, byte 8)"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestCSVReaderOffsets(t *testing.T) {
	text := "\ufeffa,b\n\n\"c\n\"\"\",d\r\ne,f"
	c := NewCSVReader(strings.NewReader(text), CSVOptions{})
	for _, want := range []string{"a,b", "\"c", "e,f"} {
		rec, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text[rec.Offset():], want) {
			t.Errorf("row %d: offset %d", rec.Row(), rec.Offset())
		}
	}
}

func TestCSVReaderLargeFields(t *testing.T) {
	big := strings.Repeat("Ein \"langer\"\nText, ", 300_000)
	text := "1,\"" + strings.ReplaceAll(big, `"`, `""`) + "\",x\n2,y,z\n"
	got, err := readAll(strings.NewReader(text), CSVOptions{})
	want := [][]string{{"1", "[" + big + "]", "x"}, {"2", "y", "z"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("a field of %d bytes came back otherwise: %v", len(big), err)
	}
	plain := strings.Repeat("x", 3<<20)
	got, err = readAll(strings.NewReader(plain+",b\nc,d\n"), CSVOptions{})
	if err != nil || len(got) != 2 || got[0][0] != plain {
		t.Errorf("an unquoted field of %d bytes came back otherwise: %v", len(plain), err)
	}
}

// TestCSVReaderRoundTrip: whatever is written by the rules comes back, however
// the bytes come in.
func TestCSVReaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.StringOf(rapid.RuneFrom([]rune("ab\",\r\n é🚓")))
		rows := rapid.SliceOf(rapid.SliceOfN(field, 2, 4)).Draw(t, "rows")
		ending := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "ending")
		var text strings.Builder
		for _, row := range rows {
			for i, f := range row {
				if i > 0 {
					text.WriteByte(',')
				}
				if strings.ContainsAny(f, "\",\r\n") || rapid.Bool().Draw(t, "quote") {
					f = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
				}
				text.WriteString(f)
			}
			text.WriteString(ending)
		}
		chunk := rapid.IntRange(1, 7).Draw(t, "chunk")
		c := NewCSVReader(&chunkReader{data: []byte(text.String()), size: chunk}, CSVOptions{MaxField: 4096})
		for _, row := range rows {
			rec, err := c.Read()
			if err != nil || rec.Len() != len(row) {
				t.Fatalf("%q: %d fields, %v; want %q", text.String(), rec.Len(), err, row)
			}
			for i, f := range row {
				if string(rec.Field(i).Text) != f {
					t.Fatalf("%q: field %q, want %q", text.String(), rec.Field(i).Text, f)
				}
			}
		}
		if _, err := c.Read(); err != io.EOF {
			t.Fatalf("after the last record: %v", err)
		}
	})
}

type chunkReader struct {
	data []byte
	size int
}

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.data[:min(r.size, len(r.data))])
	r.data = r.data[n:]
	return n, nil
}

func benchmarkCSV(b *testing.B, line string) {
	data := []byte(strings.Repeat(line, 4<<20/len(line)))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		c := NewCSVReader(bytes.NewReader(data), CSVOptions{})
		for {
			if _, err := c.Read(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkCSVPlain(b *testing.B) {
	benchmarkCSV(b, "I,2024-01-15 07:00:00.000000,123456,24-000001,DRAFT,2024-01-15 07:00:00,Central,,17.25,20240115070000000000000000000000005\n")
}

func BenchmarkCSVQuoted(b *testing.B) {
	benchmarkCSV(b, "I,2024-01-15 07:00:00.000000,123456,\"24-000001\",\"DRAFT, \"\"new\"\"\",\"line one\nline two\",Central,,17.25,20240115070000000000000000000000005\n")
}
