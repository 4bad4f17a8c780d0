package transform

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// parsed gives a text as it is staged in a column of a type; false if refused.
func parsed(t testing.TB, typ, text string) (parquet.Value, bool) {
	t.Helper()
	table := registry.Table{Columns: []registry.Column{column(1, "c", typ)}, PrimaryKey: []string{"c"}}
	lay := newLayout(table, dms.KindLoad)
	b := newRowBuilder(lay)
	b.reset(1, opUpsert)
	if !b.setText(0, []byte(text)) {
		return parquet.Value{}, false
	}
	rec := b.finish()
	v := userColumn{lay: lay}.value(rec)
	want, err := EncodeKey(nil, []registry.Type{lay.cols[0].typ}, []parquet.Value{v})
	if err != nil {
		t.Fatalf("%s of %q: %v", typ, text, err)
	}
	if got := hex.EncodeToString(rec.key()); got != hex.EncodeToString(want) {
		t.Errorf("%s of %q: the record's key is %s, the value's %x", typ, text, got, want)
	}
	return v, true
}

func shownValue(v parquet.Value) string {
	if v.Kind() == parquet.FixedLenByteArray {
		return hex.EncodeToString(v.ByteArray())
	}
	if v.Kind() == parquet.Double {
		return strconv.FormatFloat(v.Double(), 'g', -1, 64)
	}
	if v.Kind() == parquet.Float {
		return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32)
	}
	return v.String()
}

func micros(s string) string {
	at, err := time.Parse("2006-01-02 15:04:05.999999", s)
	if err != nil {
		panic(err)
	}
	return strconv.FormatInt(at.UnixMicro(), 10)
}

func days(s string) string {
	at, err := time.Parse("2006-01-02", s)
	if err != nil {
		panic(err)
	}
	return strconv.FormatInt(at.Unix()/86400, 10)
}

func TestValuesTaken(t *testing.T) {
	tests := []struct{ typ, text, want string }{
		{"boolean", "t", "true"}, {"boolean", "TRUE", "true"}, {"boolean", "1", "true"}, {"boolean", "Y", "true"}, {"boolean", "yes", "true"},
		{"boolean", "f", "false"}, {"boolean", "False", "false"}, {"boolean", "0", "false"}, {"boolean", "n", "false"}, {"boolean", "No", "false"},
		{"int", "-2147483648", "-2147483648"}, {"int", "+7", "7"}, {"int", "007", "7"}, {"int", "12.000000", "12"}, {"int", "+1.20000000e+01", "12"},
		{"bigint", "9223372036854775807", "9223372036854775807"}, {"bigint", "-9223372036854775808", "-9223372036854775808"},
		{"bigint", "9223372036854775807.0", "9223372036854775807"}, {"bigint", "-0", "0"},
		{"real", "+3.23800011e+01", "32.38"}, {"real", "0.1", "0.1"}, {"double", "+3.8907192000000002e+01", "38.907192"}, {"double", "-0.0", "-0"},
		{"real", "+3.2380001068115234e+01", "32.38"}, {"real", "16777216", "1.6777216e+07"}, {"real", "38.90719200", "38.907192"}, {"real", "3.4028234663852886e38", "3.4028235e+38"},
		{"real", "1e-45", "1e-45"}, {"real", "1.40129846e-45", "1e-45"}, {"real", "1.1754943508222875e-38", "1.1754944e-38"}, {"real", "0.10000000149011612", "0.1"}, {"real", "0e-99999999999999999999", "0"},
		{"real", "-0.000", "-0"}, {"real", "000012.5000", "12.5"}, {"real", "123456e3", "1.23456e+08"}, {"real", "inf", "+Inf"},
		{"double", "9007199254740992", "9.007199254740992e+15"}, {"double", "12345678901234567168", "1.2345678901234567e+19"}, {"double", "5e-324", "5e-324"}, {"double", "4.9406564584124654e-324", "5e-324"},
		{"double", "0.1000000000000000055511151231257827021181583404541015625", "0.1"}, {"double", "1" + strings.Repeat("0", 22), "1e+22"}, {"real", "3.355445e7", "3.355445e+07"}, {"real", "100.00", "100"}, {"double", "0." + strings.Repeat("0", 300) + "1", "1e-301"},
		{"double", "5.684341886080801e-14", "5.684341886080801e-14"}, {"double", "5.684341886080802e-14", "5.684341886080802e-14"},
		// The nearest, where the text has no more digits than the type.
		{"real", "+3.14159265e+00", "3.1415927"}, {"real", "12345678.9", "1.2345679e+07"}, {"real", "1234567000", "1.234567e+09"}, {"real", "16777217", "1.6777216e+07"}, {"real", "33554450", "3.355445e+07"}, {"real", "2e-45", "1e-45"},
		{"real", "1.2345e-44", "1.3e-44"}, {"real", "3.40282347e+38", "3.4028235e+38"},
		{"double", "9007199254740993", "9.007199254740992e+15"}, {"double", "18014398509481990", "1.801439850948199e+16"}, {"double", "1" + strings.Repeat("0", 23), "1e+23"}, {"double", "3e-324", "5e-324"},
		{"double", "+1.7976931348623158e+308", "1.7976931348623157e+308"}, {"double", "2.2250738585072011e-308", "2.225073858507201e-308"}, {"double", "3.1415926535897932", "3.141592653589793"},
		{"double", "NaN", "NaN"}, {"double", "-Infinity", "-Inf"}, {"double", "1.7976931348623157e308", "1.7976931348623157e+308"},
		{"decimal(10,2)", "99999999.99", "9999999999"}, {"decimal(10,2)", "-0.01", "-1"}, {"decimal(10,2)", "1.5", "150"}, {"decimal(10,2)", "1.500000", "150"},
		{"decimal(10,2)", ".5", "50"}, {"decimal(10,2)", "5.", "500"}, {"decimal(10,2)", "1.5e3", "150000"}, {"decimal(10,2)", "0", "0"}, {"decimal(10,2)", "-0.00", "0"},
		{"decimal(10,2)", "000000000000012.10", "1210"}, {"decimal(9,0)", "-999999999", "-999999999"},
		{"decimal(20,2)", "-0.01", "ffffffffffffffffff"}, {"decimal(20,2)", "1", "000000000000000064"},
		{"decimal(38,0)", "99999999999999999999999999999999999999", "4b3b4ca85a86c47a098a223fffffffff"},
		{"decimal(38,0)", "-99999999999999999999999999999999999999", "b4c4b357a5793b85f675ddc000000001"},
		{"date", "0001-01-01", "-719162"}, {"date", "9999-12-31", days("9999-12-31")}, {"date", "2024-02-29", days("2024-02-29")}, {"date", "1969-12-31", "-1"},
		{"date", "2024-02-29 00:00:00.000", days("2024-02-29")},
		{"timestamp", "2024-01-15 07:59:26.480361", micros("2024-01-15 07:59:26.480361")}, {"timestamp", "2024-01-15T07:59:26", micros("2024-01-15 07:59:26")},
		{"timestamp", "9999-12-31 23:59:59.999999", micros("9999-12-31 23:59:59.999999")}, {"timestamp", "1969-12-31 23:59:59.999999", "-1"},
		{"timestamp", "2024-01-15 07:59:26.480361000", micros("2024-01-15 07:59:26.480361")}, {"timestamp", "2024-01-15 07:59:26.5", micros("2024-01-15 07:59:26.5")},
		{"timestamp", "2024-01-15 07:59", micros("2024-01-15 07:59:00")}, {"timestamp", "2024-01-15", micros("2024-01-15 00:00:00")}, {"timestamp", "2024-01-15 07:59:26Z", micros("2024-01-15 07:59:26")},
		{"timestamptz", "1890-01-01 00:53:28+00:53:28", micros("1890-01-01 00:00:00")}, {"timestamptz", "1890-01-01 00:00:00 -00:53:28", micros("1890-01-01 00:53:28")},
		{"timestamptz", "2024-03-10 01:30:00.000000-05", micros("2024-03-10 06:30:00")}, {"timestamptz", "2024-03-10 03:30:00-04:00", micros("2024-03-10 07:30:00")},
		{"timestamptz", "2024-03-10T06:30:00Z", micros("2024-03-10 06:30:00")}, {"timestamptz", "2024-03-10 12:00:00.123456+0530", micros("2024-03-10 06:30:00.123456")},
		{"timestamptz", "2024-03-10 06:30:00", micros("2024-03-10 06:30:00")}, {"timestamptz", "2024-03-10 06:30:00 +01:00", micros("2024-03-10 05:30:00")},
		{"string", "", ""}, {"string", " padded\tשלום 🔥 ", " padded\tשלום 🔥 "}, {"string", "a\x00b", "a\x00b"},
		{"binary", "00fF", "\x00\xff"}, {"binary", "0xDEad", "\xde\xad"}, {"binary", `\x00fF`, "\x00\xff"}, {"binary", "", ""}, {"binary", "0x", ""},
	}
	for _, tt := range tests {
		v, ok := parsed(t, tt.typ, tt.text)
		if got := shownValue(v); !ok || got != tt.want {
			t.Errorf("%s of %q is %q (taken: %v), want %q", tt.typ, tt.text, got, ok, tt.want)
		}
	}
}

func TestValuesRefused(t *testing.T) {
	refused := map[string][]string{
		"boolean":       {"", "2", "tr", "truee", "ja", " t"},
		"int":           {"", "2147483648", "-2147483649", "1.5", "a", "1 ", "0x10", "--1", "1e400000", "e1", "."},
		"bigint":        {"9223372036854775808", "-9223372036854775809", "99999999999999999999", "1_000", "+"},
		"real":          {"", "1e39", "0x1p-2", "1_0", "1,5", "abc", "0.1234567891", "1e-60", "-1e-46", "16777217.01", "+3.8907192000000002e+01", "+1.2345678901234567e+08", "0.1000000016", "0.10000000149011613"},
		"double":        {"1e309", "1..2", "- 1", "1e-400", "-1e-400", "2e-324", "12345678901234567890", "123456789012345678", "3.141592653589793238", "0.100000000000000005552", "9007199254740993.01", "0." + strings.Repeat("1", 800)},
		"decimal(10,2)": {"", "12345678901.00", "100000000", "1.005", "1.5.", "1,5", "NaN", "1e9", "1e-3", "1e", "1e+", "-"},
		"decimal(38,0)": {"100000000000000000000000000000000000000", "0.1"},
		"date":          {"", "2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "0000-01-01", "10000-01-01", "2024-1-1", "24-01-01", "2024-01-15 07:00:00", "2024-01-15x", "15-JAN-24"},
		"timestamp": {"", "2024-01-15 24:00:00", "2024-01-15 07:60:00", "2024-01-15 07:00:60", "2024-01-15 07:00:00.1234567", "2024-01-15 07:00:00.",
			"2024-01-15 07:00:00+01:00", "2024-01-15_07:00:00", "infinity", "2024-01-15 07:00:0", "2024-01-15 7:00:00"},
		"timestamptz": {"2024-01-15 07:00:00+1", "2024-01-15 07:00:00+19:00", "2024-01-15 07:00:00+01:60", "1890-01-01 00:00:00+00:53:60", "1890-01-01 00:00:00+00:53-28", "2024-01-15 07:00:00 UTC+1", "0001-01-01 00:00:00+01", "9999-12-31 23:59:59-01"},
		"binary":      {"0", "xx", "0x0", "aé", `\`, `\x0`, `\X00`},
	}
	for typ, texts := range refused {
		for _, text := range texts {
			if v, ok := parsed(t, typ, text); ok {
				t.Errorf("%s of %q was taken as %s", typ, text, shownValue(v))
			}
		}
	}
}

// TestDecimalsExact compares with big integers.
func TestDecimalsExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		precision := rapid.IntRange(1, 38).Draw(rt, "precision")
		scale := rapid.IntRange(0, precision).Draw(rt, "scale")
		unscaled, _ := new(big.Int).SetString(rapid.StringMatching(`-?[0-9]{1,40}`).Draw(rt, "digits"), 10)
		// The number unscaled × 10^-scale, spelled out.
		text := new(big.Rat).SetFrac(unscaled, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale + rapid.IntRange(0, 3).Draw(rt, "zeros"))
		typ := registry.Type{Kind: registry.Decimal, Precision: precision, Scale: scale}
		v, ok := parsed(t, typ.String(), text)
		fits := len(new(big.Int).Abs(unscaled).String()) <= precision
		if ok != fits {
			rt.Fatalf("%s in %s: taken is %v", text, typ, ok)
		}
		if !ok {
			return
		}
		got := new(big.Int)
		switch v.Kind() {
		case parquet.Int32, parquet.Int64:
			n, _ := wideInt(v)
			got.SetInt64(n)
		default:
			got.SetBytes(v.ByteArray())
			if v.ByteArray()[0] >= 0x80 {
				got.Sub(got, new(big.Int).Lsh(big.NewInt(1), uint(8*len(v.ByteArray()))))
			}
		}
		if got.Cmp(unscaled) != 0 {
			rt.Fatalf("%s in %s became %s", text, typ, got)
		}
	})
}

// TestFloatsRoundNothing: a value of either width is taken as DMS prints it, as
// other programs print it, and in full; a number with more digits than tell it is
// refused.
func TestFloatsRoundNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		typ, bits, printed, f := "double", 64, 16, rapid.Float64().Draw(rt, "double")
		if rapid.Bool().Draw(rt, "is float") {
			single := rapid.Float32().Draw(rt, "float")
			typ, bits, printed, f = "real", 32, 8, float64(single)
		}
		for _, text := range []string{
			fmt.Sprintf("%+.*e", printed, f), fmt.Sprintf("%+.*e", 16, f), strconv.FormatFloat(f, 'g', -1, bits), new(big.Float).SetFloat64(f).Text('g', 800),
		} {
			if v, ok := parsed(t, typ, text); !ok || shownValue(v) != strconv.FormatFloat(f, 'g', -1, bits) {
				rt.Errorf("%s in %s was taken: %v, as %s", text, typ, ok, shownValue(v))
			}
		}
		// A number between it and its neighbour.
		next := math.Nextafter(f, math.Inf(1))
		if bits == 32 {
			next = float64(math.Nextafter32(float32(f), float32(math.Inf(1))))
		}
		if math.IsInf(next, 0) {
			return
		}
		sum := new(big.Float).SetPrec(3000).SetFloat64(f)
		between := sum.Quo(sum.Add(sum, new(big.Float).SetFloat64(next)), big.NewFloat(2))
		form := byte('f')
		if math.Abs(f) < 1 {
			form = 'e'
		}
		text := between.Text(form, 25)
		said, _, _ := strings.Cut(text, "e")
		said = strings.Trim(strings.NewReplacer(".", "", "-", "").Replace(said), "0")
		if math.Abs(f) > 1e-30 && len(said) > printed+1 {
			if v, ok := parsed(t, typ, text); ok {
				rt.Errorf("%s in %s was taken as %s", text, typ, shownValue(v))
			}
		}
	})
}

// TestDaysExact compares every day of some centuries with package time.
func TestDaysExact(t *testing.T) {
	for _, year := range []int{1, 4, 100, 400, 1582, 1900, 1969, 2000, 2024, 9999} {
		for at := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() == year; at = at.AddDate(0, 0, 1) {
			got, ok := parseDate([]byte(at.Format("2006-01-02")))
			if !ok || got*secondsPerDay != at.Unix() {
				t.Fatalf("%s is day %d", at.Format("2006-01-02"), got)
			}
		}
	}
}

// FuzzValues: no text makes parsing panic, and what is taken is in its range.
func FuzzValues(f *testing.F) {
	types := []string{"boolean", "int", "bigint", "real", "double", "decimal(9,2)", "decimal(18,6)", "decimal(38,10)", "date", "timestamp", "timestamptz", "string", "binary"}
	for i, text := range []string{"t", "12", "-1e3", "2024-01-15 07:00:00.5+01:30", "0xff", "+3.23800011e+01", "9999-12-31", "", "0001-01-01T00:00:00Z"} {
		f.Add(uint8(i), text)
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		typ := types[int(which)%len(types)]
		v, ok := parsed(t, typ, text)
		if !ok {
			return
		}
		switch typ {
		case "real":
			if again, err := strconv.ParseFloat(text, 32); err != nil || float32(again) != v.Float() && !math.IsNaN(again) {
				t.Errorf("%q became %v", text, v)
			}
		case "timestamp", "timestamptz":
			if at := time.UnixMicro(v.Int64()).UTC(); at.Year() < 1 || at.Year() > 9999 {
				t.Errorf("%q became %v", text, at)
			}
		case "string":
			if string(v.ByteArray()) != text {
				t.Errorf("%q became %q", text, v.ByteArray())
			}
		}
	})
}
