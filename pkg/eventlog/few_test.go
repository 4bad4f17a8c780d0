package eventlog

import "testing"

// TestEventsOfOneName: the last one and all of them are given, of one table alone.
func TestEventsOfOneName(t *testing.T) {
	l := openLog(t, startServer(t), testConfig())
	if _, found, err := l.Newest(t.Context(), reports, "ingest-router", "ObjectArrived"); found || err != nil {
		t.Errorf("of an empty log: %v, %v", found, err)
	}
	var want []uint64
	for n := range 5 {
		table := reports
		if n == 1 || n == 4 {
			table.Table = "others"
		}
		seq, err := l.PublishOnce(t.Context(), arrived(table, n))
		if err != nil {
			t.Fatal(err)
		}
		if table == reports {
			want = append(want, seq)
		}
	}
	newest, found, err := l.Newest(t.Context(), reports, "ingest-router", "ObjectArrived")
	if err != nil || !found || newest.Seq != want[2] || newest.Table != reports || newest.Event == nil {
		t.Errorf("the newest is %+v (%v, %v)", newest, found, err)
	}
	for r, err := range l.Few(t.Context(), reports, "ingest-router", "ObjectArrived") {
		if err != nil || len(want) == 0 || r.Seq != want[0] || r.Event == nil {
			t.Fatalf("it gives %+v, %v; expected %v", r, err, want)
		}
		want = want[1:]
	}
	if len(want) > 0 {
		t.Errorf("it lacks %v", want)
	}
}
