package eventlog

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
)

const sixteen = Partitions(16)

func TestSubjectsAreAsWrittenDown(t *testing.T) {
	for _, c := range []struct {
		got, want string
	}{
		{sixteen.Subject(reports, "curator", "FilesPublished"), "blotter.0.rms.reports.curator.FilesPublished"},
		{sixteen.chain(reports, "curator"), "blotter.0.rms.reports.curator.*"},
		{sixteen.Subject(dms.TableID{DB: "_", Table: "raw"}, "ingest-router", "ObjectIgnored"), "blotter.6._.raw.ingest-router.ObjectIgnored"},
		{sixteen.chain(dms.TableID{DB: "rms", Table: "@txn"}, "classifier"), "blotter.7.rms.@txn.classifier.*"},
		{ConsumerName("lock-manager", 3), "lock-manager-p3"},
		{sixteen.filters(Filter{Service: "curator", Event: "FilesPublished"})[0], "blotter.*.*.*.curator.FilesPublished"},
		{sixteen.filters(Filter{Table: reports, Event: "LockGranted"})[0], "blotter.0.rms.reports.*.LockGranted"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestAConsumerReadsOnlyWhatItNames(t *testing.T) {
	got := partitionSubjects(3, []string{"b", "a", "c", "a"}, []string{"X"}, map[string][]string{"b": {"Z", "Y"}})
	want := []string{"blotter.3.*.*.a.X", "blotter.3.*.*.b.Y", "blotter.3.*.*.b.Z", "blotter.3.*.*.c.X"}
	if !slices.Equal(got, want) {
		t.Errorf("the filters are %v, want %v", got, want)
	}
	got = partitionSubjects(3, []string{"a", "b"}, nil, map[string][]string{"b": {"Y"}})
	if want := []string{"blotter.3.*.*.a.*", "blotter.3.*.*.b.Y"}; !slices.Equal(got, want) {
		t.Errorf("the filters are %v, want %v", got, want)
	}
	for _, only := range []map[string][]string{{"b": nil}, {"c": {"Y"}}} {
		if err := (ConsumerConfig{Service: "s", From: []string{"a", "b"}, Only: only}).validate(sixteen); err == nil {
			t.Errorf("only %v is taken", only)
		}
	}
}

func TestEverySubjectIsReadBack(t *testing.T) {
	name := rapid.StringN(1, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		table := dms.TableID{DB: name.Draw(t, "db"), Table: name.Draw(t, "table")}
		service, event := name.Draw(t, "service"), name.Draw(t, "event")
		s := sixteen.Subject(table, service, event)
		if strings.Count(s, ".") != 5 || strings.ContainsAny(s, " *>\t\r\n") {
			t.Fatalf("%q is no subject of six tokens", s)
		}
		a, err := ParseSubject(s)
		if err != nil || a.Table != table || a.Service != service || a.Event != event || a.Partition != sixteen.Of(table) {
			t.Fatalf("%q was read as %+v (%v)", s, a, err)
		}
	})
}

func TestParseSubjectRefuses(t *testing.T) {
	for _, s := range []string{"", "blotter", "x.1.a.b.c.d", "blotter.x.a.b.c.d", "blotter.1.a.b.c", "blotter.1.a%2.b.c.d", "blotter.1.a%GG.b.c.d"} {
		if a, err := ParseSubject(s); err == nil {
			t.Errorf("%q was read as %+v", s, a)
		}
	}
}
