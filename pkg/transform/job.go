package transform

import (
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// Engine names this engine and the version of its output in manifests. Another
// version may stage other bytes for the same input, but the same rows.
const Engine = "go/1"

// Job is the transform of one file under one token.
type Job struct {
	Table registry.Table
	File  dms.File
	Token uint64
}

// Deps are the buckets between which a transform works.
type Deps struct {
	Raw     objects.Bucket
	Staging objects.Bucket
	// Failed holds mended files; nil where they, too, are read from Raw or none is.
	Failed objects.Bucket
}

// bucketOf gives the bucket that a file's object lies in.
func (d Deps) bucketOf(f dms.File) (objects.Bucket, error) {
	if f.Mending.IsZero() {
		return d.Raw, nil
	}
	for _, bucket := range []objects.Bucket{d.Failed, d.Raw} {
		if bucket != nil && bucket.Name() == f.Object.Bucket {
			return bucket, nil
		}
	}
	return nil, fmt.Errorf("transform %s: bucket %s, in which its mended rows lie, is not at hand", f.ID, f.Object.Bucket)
}

// Result is a staged file.
type Result struct {
	Manifest       Manifest
	ManifestKey    string // in the staging bucket
	ManifestSHA256 string // in hex
	// Reused tells that an earlier attempt had staged the file already.
	Reused bool
}

// oneByOne reports whether rows at fault are set aside one by one. Mended rows are
// not: one that is bad again fails its mended file, whose rows can be mended once
// more.
func (j Job) oneByOne() bool {
	return j.Table.OnBadRow == registry.OnBadRowQuarantine && j.File.Mending.IsZero()
}

// check refuses a job that no registration or classifier makes.
func (j Job) check() error {
	var faults []error
	if j.File.ID == "" || j.File.Order == "" || j.Token == 0 || j.Table.Version == 0 {
		faults = append(faults, errors.New("file id, file order, token or registration version is missing"))
	}
	splits := j.File.Kind == dms.KindTransaction && j.Table.ID.IsTransactions()
	if len(j.Table.Columns) == 0 && !splits {
		faults = append(faults, errors.New("the registration has no columns"))
	}
	for _, name := range j.Table.PrimaryKey {
		if !isColumn(j.Table, name) {
			faults = append(faults, fmt.Errorf("primary key column %s is no column", name))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("transform %s of %s: %w", j.File.ID, j.Table.ID, errors.Join(faults...))
	}
	if part := j.File.Part; !part.IsZero() && (j.File.Kind != dms.KindChange || part.ID() != j.File.Mending.Of(j.File.ID)) {
		return fmt.Errorf("transform %s of %s: it is not the change file that part %s of file %s makes", j.File.ID, j.Table.ID, part, part.FileID)
	}
	if j.File.Kind != dms.KindLoad && j.File.Kind != dms.KindChange && !splits {
		return &Failure{Code: CodeKind, ObjectKey: j.File.Object.Key, Message: "a " + j.File.Kind.String() + " file holds no rows of one table",
			Expected: "a load or change file", Hint: "register the folder of transaction files as cdc_path"}
	}
	return nil
}
