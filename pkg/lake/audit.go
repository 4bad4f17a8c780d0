package lake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// part is one staged file of a request, audited.
type part struct {
	manifest transform.Manifest
	object   string                     // the manifest's key
	staged   registry.Provenance        // the field ids of provenance in staged files
	byName   map[string]registry.Column // the manifest's columns and provenance, by folded name
	rows     []*stagedFile
	deletes  []*stagedFile
	// positionFiles are those of the manifest's position deletes, in its order.
	positionFiles []*stagedFile
	// superseded counts what the fold and the probe dropped.
	superseded int64
	// ties counts what stood against a change of the table or of another part whose
	// time is the same.
	ties int64
}

// stagedFile is one staged Parquet file of a part.
type stagedFile struct {
	transform.StagedParquet
	part    *part
	deletes bool
	// dead marks rows that are not to be published; nil until one is.
	dead bitmap
}

func (f *stagedFile) kill(row int64) {
	if f.dead == nil {
		f.dead = newBitmap(f.Rows)
	}
	f.dead.set(row)
	f.part.superseded++
}

func (f *stagedFile) live() int64 { return f.Rows - f.dead.count() }

// positions is the kind of file of which the positions of the rows are made.
func (p *part) positions() dms.FileKind {
	if !p.manifest.Mending.IsZero() {
		return p.manifest.Mending.Kind
	}
	return p.manifest.Kind
}

// fault builds an AuditError about a part.
func (p *part) fault(code, object string, row int64, format string, args ...any) *AuditError {
	return &AuditError{Code: code, FileID: p.manifest.FileID, Object: object, Row: row, Message: fmt.Sprintf(format, args...)}
}

// audit reads and checks the manifests of a request and the files they name, as
// far as that needs no look into rows: identity, hashes, counts, schema. The
// fold checks order, bounds and provenance row by row, before anything is
// committed.
func (l *Lake) audit(ctx context.Context, req Request) ([]*part, error) {
	parts := make([]*part, 0, len(req.Parts))
	seen := map[dms.FileID]bool{}
	for _, rp := range req.Parts {
		if seen[rp.FileID] {
			return nil, fmt.Errorf("publish %s: file %s is named twice in one request", req.Spec.ID, rp.FileID)
		}
		seen[rp.FileID] = true
		p, err := l.auditPart(ctx, req, rp)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func (l *Lake) auditPart(ctx context.Context, req Request, rp Part) (*part, error) {
	m, err := transform.ReadManifest(ctx, l.staging, rp.ManifestKey, rp.ManifestSHA256)
	switch {
	case errors.Is(err, transform.ErrCorrupt), errors.Is(err, objects.ErrNotFound):
		return nil, &AuditError{Code: CodeManifest, FileID: rp.FileID, Object: rp.ManifestKey, Message: "the manifest is not the one that was announced", Err: err}
	case err != nil:
		return nil, fmt.Errorf("audit file %s: %w", rp.FileID, err)
	}
	p := newPart(req.Spec, rp, m)
	if err := p.checkIdentity(req, rp); err != nil {
		return nil, err
	}
	for _, s := range m.Rows {
		p.rows = append(p.rows, &stagedFile{StagedParquet: s, part: p})
	}
	for _, s := range m.Deletes {
		p.deletes = append(p.deletes, &stagedFile{StagedParquet: s, part: p, deletes: true})
	}
	for _, s := range m.Rejected {
		if err := l.auditRejected(ctx, &stagedFile{StagedParquet: s, part: p}); err != nil {
			return nil, err
		}
	}
	if err := l.auditPositions(ctx, p); err != nil {
		return nil, err
	}
	rowsSchema := transform.RowsSchema(m.Schema, p.staged)
	deletesSchema := transform.DeletesSchema(p.keyColumns(req.Spec), p.staged)
	for _, f := range p.rows {
		if err := l.auditFile(ctx, f, rowsSchema); err != nil {
			return nil, err
		}
	}
	for _, f := range p.deletes {
		if err := l.auditFile(ctx, f, deletesSchema); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// auditPositions checks the files of position deletes as far as that needs no look
// into the table.
func (l *Lake) auditPositions(ctx context.Context, p *part) error {
	if p.manifest.PositionDeletes == nil {
		return nil
	}
	for _, s := range p.manifest.PositionDeletes.Files {
		f := &stagedFile{StagedParquet: s.Staged(), part: p}
		if err := l.auditFile(ctx, f, transform.PositionSchema()); err != nil {
			return err
		}
		p.positionFiles = append(p.positionFiles, f)
	}
	return nil
}

// checkIdentity compares a manifest with the request that names it.
func (p *part) checkIdentity(req Request, rp Part) error {
	m := &p.manifest
	var what string
	switch {
	case m.FileID != rp.FileID:
		p.manifest.FileID = rp.FileID
		what = "the manifest is about another file"
	case m.Kind != rp.Kind:
		what = fmt.Sprintf("the manifest is about a %s file, a %s file was announced", m.Kind, rp.Kind)
	case m.Table != req.Spec.ID:
		what = fmt.Sprintf("the manifest is about table %s", m.Table)
	case m.Token > req.Token:
		what = fmt.Sprintf("it was staged under token %d, later than %d", m.Token, req.Token)
	case m.SpecVersion > req.Spec.Version:
		what = fmt.Sprintf("it was staged under version %d of the registration, later than %d", m.SpecVersion, req.Spec.Version)
	}
	if what != "" {
		return p.fault(CodeManifest, rp.ManifestKey, 0, "%s", what)
	}
	if len(req.Spec.PrimaryKey) == 0 && len(m.Deletes) > 0 {
		return p.fault(CodeDeletes, rp.ManifestKey, 0, "deletes are staged, but the table has no primary key")
	}
	return p.checkColumns(req.Spec)
}

// auditFile checks one staged file against the manifest: its hash before anything
// else is made of it.
func (l *Lake) auditFile(ctx context.Context, f *stagedFile, want *parquet.Schema) error {
	if err := transform.VerifySHA256(ctx, l.staging, f.StagedParquet); err != nil {
		return f.auditFault(err)
	}
	r, err := transform.OpenStaged(ctx, l.staging, f.StagedParquet)
	if err != nil {
		return f.auditFault(err)
	}
	return errors.Join(f.checkSchema(r.File(), want), r.Close())
}

// auditRejected checks that the rows which were set aside are there: whole, as
// many as the manifest says, and of this file.
func (l *Lake) auditRejected(ctx context.Context, f *stagedFile) error {
	if err := transform.VerifySHA256(ctx, l.staging, f.StagedParquet); err != nil {
		return f.auditFault(err)
	}
	r, err := transform.OpenRejected(ctx, l.staging, f.Key)
	if err != nil {
		return f.auditFault(err)
	}
	switch {
	case r.Count() != f.Rows:
		err = f.part.fault(CodeRowCount, f.Key, 0, "%d rejected rows, the manifest says %d", r.Count(), f.Rows)
	case r.Header.FileID != f.part.manifest.FileID || r.Header.Table != f.part.manifest.Table:
		err = f.part.fault(CodeProvenance, f.Key, 0, "the rejected rows name another file as their origin")
	}
	return errors.Join(err, r.Close())
}

// auditFault tells a wrong file from a passing fault.
func (f *stagedFile) auditFault(err error) error {
	if errors.Is(err, transform.ErrCorrupt) || errors.Is(err, objects.ErrNotFound) {
		fault := f.part.fault(CodeHash, f.Key, 0, "the staged file is not the one that the manifest names")
		fault.Err = err
		return fault
	}
	return fmt.Errorf("audit file %s: %w", f.part.manifest.FileID, err)
}

func (f *stagedFile) checkSchema(file *parquet.File, want *parquet.Schema) error {
	got, expected := file.Schema().Fields(), want.Fields()
	if len(got) != len(expected) {
		return f.part.fault(CodeSchema, f.Key, 0, "%d columns, the table's schema has %d", len(got), len(expected))
	}
	for i, e := range expected {
		g := got[i]
		switch {
		case g.ID() != e.ID() || g.Name() != e.Name():
			return f.part.fault(CodeSchema, f.Key, 0, "column %d is %s (field id %d), expected %s (field id %d)", i+1, g.Name(), g.ID(), e.Name(), e.ID())
		case !g.Leaf() || g.Repeated() || typeName(g.Type()) != typeName(e.Type()):
			return f.part.fault(CodeSchema, f.Key, 0, "column %s is of type %s, expected %s", g.Name(), typeName(g.Type()), typeName(e.Type()))
		case e.Required() && !g.Required():
			return f.part.fault(CodeSchema, f.Key, 0, "column %s may be null", g.Name())
		}
	}
	return nil
}

// typeName tells types apart that hold different values. A plain integer reads
// from a file with an annotation that says no more than its physical type.
func typeName(t parquet.Type) string {
	name := t.String()
	if strings.HasPrefix(name, "INT(") {
		name = t.Kind().String()
	}
	if t.Kind() == parquet.FixedLenByteArray {
		name += fmt.Sprintf(" of %d bytes", t.Length())
	}
	return name
}
