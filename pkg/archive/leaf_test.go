package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// TestLeafBytes pins the form of a leaf, which other tools build by what the
// documentation says.
func TestLeafBytes(t *testing.T) {
	l := Leaf{Raw: eventlog.Raw{
		Seq: 258, Stored: time.Unix(1, 2).UTC(), Subject: "a.b", Data: []byte{0xff},
		Header: map[string][]string{"k": {"2", "1"}, "K": {""}},
	}}
	want := "0145" + "0000000000000102" + "000000003b9aca02" + "00000003612e62" +
		"00000003" + "000000014b00000000" + "000000016b0000000132" + "000000016b0000000131" + "00000001ff"
	if got := hex.EncodeToString(l.Append(nil)); got != want {
		t.Errorf("the leaf is\n%s, expected\n%s", got, want)
	}
	sum := sha256.Sum256(append([]byte{0}, l.Append(nil)...))
	if !bytes.Equal(l.Hash(), sum[:]) {
		t.Error("its hash is not that of RFC 6962")
	}
	gap := Leaf{Raw: eventlog.Raw{Seq: 3}, Gap: true}
	if got := hex.EncodeToString(gap.Append(nil)); got != "0147"+"0000000000000003" {
		t.Errorf("a gap is %s", got)
	}
}

func drawLeaf(t *rapid.T) Leaf {
	l := Leaf{Gap: rapid.Bool().Draw(t, "gap")}
	l.Seq = uint64(rapid.Int64Min(1).Draw(t, "seq"))
	if l.Gap {
		return l
	}
	text := rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "bytes")) })
	l.Stored = time.Unix(0, rapid.Int64().Draw(t, "stored")).UTC()
	l.Subject, l.Data = text.Draw(t, "subject"), []byte(text.Draw(t, "data"))
	for range rapid.IntRange(0, 4).Draw(t, "headers") {
		if l.Header == nil {
			l.Header = map[string][]string{}
		}
		k := text.Draw(t, "name")
		l.Header[k] = append(l.Header[k], text.Draw(t, "value"))
	}
	return l
}

// TestEveryColumnIsCompared: rows that differ in one column differ.
func TestEveryColumnIsCompared(t *testing.T) {
	l := Leaf{Raw: event(t, 4)}
	a, err := newRow(l, l.Hash())
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[row]().NumField() {
		b := a
		switch f := reflect.ValueOf(&b).Elem().Field(i); f.Kind() {
		case reflect.Int64:
			f.SetInt(f.Int() + 1)
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Slice:
			f.SetBytes(append(bytes.Clone(f.Bytes()), 1))
		case reflect.Array:
			b.LeafHash[31]++
		default:
			t.Fatalf("say how a %s differs", f.Kind())
		}
		if name := reflect.TypeFor[row]().Field(i).Name; a.equal(&b) || b.equal(&a) {
			t.Errorf("rows that differ in %s are equal", name)
		}
	}
	if b := a; !a.equal(&b) {
		t.Error("a row is not its own equal")
	}
}

// TestLeafReadsBack: each leaf has one form, bytes and row, and each form one leaf.
func TestLeafReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLeaf(t)
		b := l.Append(nil)
		back, err := ParseLeaf(b)
		if err != nil || !bytes.Equal(back.Append(nil), b) || !reflect.DeepEqual(back.Header, l.Header) {
			t.Fatalf("%+v is read as %+v (%v)", l, back, err)
		}
		r, err := newRow(l, l.Hash())
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.leaf()
		if err != nil || !bytes.Equal(again.Append(nil), b) {
			t.Fatalf("the row of %+v is read as %+v (%v)", l, again, err)
		}
		other := drawLeaf(t)
		if same := reflect.DeepEqual(other, l); !same && bytes.Equal(other.Append(nil), b) {
			t.Fatalf("%+v and %+v are one leaf", l, other)
		}
		cut := b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]
		if _, err := ParseLeaf(cut); err == nil {
			t.Fatalf("%x is read as a leaf", cut)
		}
		if _, err := ParseLeaf(append(b, 0)); err == nil {
			t.Fatal("a leaf with a byte behind it is read")
		}
	})
}
