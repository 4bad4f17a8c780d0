package transform

import (
	"errors"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
)

var failedTable = dms.TableID{DB: "rms", Table: "reports"}

func TestAFailureLeftBesideTheOutputIsReadBack(t *testing.T) {
	bucket := newMemBucket()
	if f, err := ReadFailure(t.Context(), bucket, failedTable, "f1", 7); f != nil || err != nil {
		t.Fatalf("nothing was left, and it reads %v, %v", f, err)
	}
	want := Failure{
		Code: CodeDecimal, Message: "the number has 40 digits", ObjectKey: "dms/a.csv", Row: 3, Column: "amount",
		Expected: "decimal(38,2)", Hint: "widen the column", RowsFailed: 2,
	}
	if err := WriteFailure(t.Context(), bucket, failedTable, "f1", 7, &want); err != nil {
		t.Fatal(err)
	}
	if err := WriteFailure(t.Context(), bucket, failedTable, "f1", 7, &Failure{Code: "later", Message: "another"}); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFailure(t.Context(), bucket, failedTable, "f1", 7)
	if err != nil {
		t.Fatal(err)
	}
	if *got != want {
		t.Errorf("it reads %+v, the first one written was %+v", *got, want)
	}
	if f, err := ReadFailure(t.Context(), bucket, failedTable, "f1", 8); f != nil || err != nil {
		t.Errorf("under another token it reads %v, %v", f, err)
	}
	if bucket.open != 0 {
		t.Errorf("%d writers were left open", bucket.open)
	}
}

func TestWhatIsNoFailureIsRefused(t *testing.T) {
	key := StagePrefix(failedTable, "f1", 7) + FailureName
	for name, content := range map[string]string{
		"no JSON":      "Traceback",
		"empty":        "{}",
		"no message":   `{"code":"value.decimal"}`,
		"negative row": `{"code":"value.decimal","message":"m","row":-1}`,
		"another type": `{"code":"value.decimal","message":"m","row":"three"}`,
	} {
		t.Run(name, func(t *testing.T) {
			bucket := newMemBucket()
			bucket.put(key, []byte(content))
			if _, err := ReadFailure(t.Context(), bucket, failedTable, "f1", 7); !errors.Is(err, ErrCorrupt) {
				t.Errorf("it gives %v, expected ErrCorrupt", err)
			}
		})
	}
}

func TestAFailureOfAnotherProgramIsBounded(t *testing.T) {
	key := StagePrefix(failedTable, "f1", 7) + FailureName
	bucket := newMemBucket()
	bucket.put(key, []byte(`{"code":"value.text","message":"`+strings.Repeat("ä", 5000)+`"}`))
	f, err := ReadFailure(t.Context(), bucket, failedTable, "f1", 7)
	if err != nil {
		t.Fatal(err)
	}
	if f.Message != strings.Repeat("ä", maxFailureText/2) {
		t.Errorf("the message has %d bytes, %d are allowed", len(f.Message), maxFailureText)
	}
	bucket.put(key, []byte(strings.Repeat(" ", maxFailureBytes+1)))
	if _, err := ReadFailure(t.Context(), bucket, failedTable, "f1", 7); err == nil {
		t.Error("an object without end was read")
	}
}
