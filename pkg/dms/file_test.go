package dms

import (
	"testing"
	"time"
)

func TestNewFileID(t *testing.T) {
	o := Object{Bucket: "raw", Key: "dms/rms/reports/LOAD00000001.csv", ETag: "e1", Size: 1, LastModified: time.Unix(1, 0)}
	id := NewFileID(o, KindLoad)
	if len(id) != 32 {
		t.Errorf("id %q", id)
	}
	with := func(f func(*Object)) Object { c := o; f(&c); return c }
	later := with(func(o *Object) { o.LastModified = time.Unix(9, 0) })
	version := with(func(o *Object) { o.VersionID = "v1" })
	laterVersion := with(func(o *Object) { o.VersionID, o.LastModified = "v1", time.Unix(9, 0) })
	for why, pair := range map[string][2]FileID{
		"neither size nor zone count": {id, NewFileID(with(func(o *Object) {
			o.Size, o.LastModified = 2, o.LastModified.In(time.FixedZone("", 3600))
		}), KindLoad)},
		"a version has one id whenever it was modified": {NewFileID(version, KindLoad), NewFileID(laterVersion, KindLoad)},
		"a change file written twice alike has one id":  {NewFileID(o, KindChange), NewFileID(later, KindChange)},
	} {
		if pair[0] != pair[1] {
			t.Error(why)
		}
	}
	for name, other := range map[string]Object{
		"bucket": with(func(o *Object) { o.Bucket = "other" }), "key": with(func(o *Object) { o.Key += "x" }),
		"etag": with(func(o *Object) { o.ETag = "e2" }), "version": version, "time": later,
	} {
		if NewFileID(other, KindLoad) == id {
			t.Errorf("another %s is another load file", name)
		}
	}
}
