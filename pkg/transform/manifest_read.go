package transform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// maxManifestBytes bounds what is read of a manifest.
const maxManifestBytes = 64 << 20

// maxManifestRows bounds every count of rows, so that none of their sums can
// wrap around.
const maxManifestRows = 1 << 40

// StagePrefix is the folder, with "/" at its end, of what is staged for one
// file under one token: <db>/<table>/<file_id>/<token>/. The names are
// percent-escaped where they hold a "/".
func StagePrefix(table dms.TableID, file dms.FileID, token uint64) string {
	return url.PathEscape(table.DB) + "/" + url.PathEscape(table.Table) + "/" +
		url.PathEscape(string(file)) + "/" + strconv.FormatUint(token, 10) + "/"
}

// ReadManifest loads a manifest and checks it: its hash (if sha256Hex is not
// empty), its shape (unknown fields are refused) and its own consistency (see
// Manifest.Validate). What fails a check fails with ErrCorrupt.
func ReadManifest(ctx context.Context, bucket objects.Bucket, key, sha256Hex string) (Manifest, error) {
	data, err := readAll(ctx, bucket, key, maxManifestBytes)
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest %s: %w", key, err)
	}
	if got := hashBytes(data); sha256Hex != "" && got != sha256Hex {
		return Manifest{}, fmt.Errorf("manifest %s: %w: SHA-256 %s, expected %s", key, ErrCorrupt, got, sha256Hex)
	}
	m, err := decodeManifest(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest %s: %w: %w", key, ErrCorrupt, err)
	}
	return m, nil
}

func hashBytes(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func readAll(ctx context.Context, bucket objects.Bucket, key string, limit int) ([]byte, error) {
	r, err := bucket.Open(ctx, key, objects.Version{})
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(&contextReader{ctx: ctx, r: r}, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, errors.Join(err, r.Close())
}

func decodeManifest(data []byte) (Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, errors.New("something follows the manifest")
	}
	return m, m.Validate()
}

// Validate checks that a manifest agrees with itself: identity complete, counts
// that account for every row, files without gaps in what they say, key ranges
// ascending and disjoint. It reports all faults together.
func (m *Manifest) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if m.Engine == "" || m.Table.IsZero() || m.FileID == "" || m.Token == 0 || m.SpecVersion == 0 {
		fault("engine, table, spec_version, file_id or token is missing")
	}
	split := m.Kind == dms.KindTransaction
	if m.Kind != dms.KindLoad && m.Kind != dms.KindChange && !split {
		fault("kind %d is none of load, change and transaction", m.Kind)
	}
	if part := m.Part; !part.IsZero() && (m.Kind != dms.KindChange || part.ID() != m.Mending.Of(m.FileID)) {
		fault("part: the file is not part %s of file %s", part, part.FileID)
	}
	if !m.Mending.IsZero() && (m.Kind != dms.KindChange || m.Mending.Kind == 0 || m.Mending.Order == "") {
		fault("mending: mended rows come as a change file, and name kind and order of the file they belong to")
	}
	if !isSHA256(m.Input.SHA256) {
		fault("input: sha256 is not 64 hex digits")
	}
	if (len(m.Schema) == 0) != split {
		fault("schema has %d columns in the manifest of a %s file", len(m.Schema), m.Kind)
	}
	c := m.Counts
	if min(c.RowsRead, c.Inserts, c.Updates, c.Deletes, c.KeysMoved, c.DuplicatesDropped, c.AmbiguousTies, c.Rejected, c.NoBeforeImage) < 0 {
		fault("counts: one is negative")
	}
	if max(c.RowsRead, c.Inserts, c.Updates, c.Deletes, c.KeysMoved, c.DuplicatesDropped, c.AmbiguousTies, c.Rejected) > maxManifestRows {
		fault("counts: one is beyond what any file holds")
	}
	if c.NoBeforeImage > c.Updates {
		fault("counts: %d updates lack a before-image, of %d", c.NoBeforeImage, c.Updates)
	}
	if c.RowsRead != c.Inserts+c.Updates+c.Deletes+c.Rejected {
		fault("counts: %d rows read, but %d inserts, %d updates, %d deletes and %d rejected", c.RowsRead, c.Inserts, c.Updates, c.Deletes, c.Rejected)
	}
	if rejected := validateFiles("rejected", m.Rejected, fault); rejected != c.Rejected {
		fault("counts: %d rows were rejected, %d are set aside", c.Rejected, rejected)
	}
	m.validateParts(fault)
	staged := validateFiles("rows", m.Rows, fault) + validateFiles("deletes", m.Deletes, fault)
	want := c.RowsRead - c.Rejected + c.KeysMoved - c.DuplicatesDropped
	if split {
		want = 0
	}
	if staged != want {
		fault("counts: %d rows and deletes are staged, the counts leave %d", staged, want)
	}
	m.validatePositions(staged, fault)
	if m.MinPosition > m.MaxPosition || (staged > 0) != (m.MaxPosition != "") {
		fault("min_position and max_position do not bound the staged rows")
	}
	return errors.Join(faults...)
}

// validateParts checks that the parts of a transaction file account for its rows.
func (m *Manifest) validateParts(fault func(string, ...any)) {
	var rows int64
	seen := map[dms.FileID]bool{}
	for i, p := range m.Parts {
		part := dms.Part{FileID: m.FileID, Schema: p.Schema, Table: p.Table}
		if p.Schema == "" || p.Table == "" || p.Rows <= 0 || p.FileID != part.ID() || seen[p.FileID] {
			fault("parts[%d]: schema, table or rows is missing, or its id is not its own", i)
		}
		seen[p.FileID] = true
		rows += p.Rows
	}
	if m.Kind == dms.KindTransaction && rows != m.Counts.RowsRead || m.Kind != dms.KindTransaction && len(m.Parts) > 0 {
		fault("parts: they hold %d rows, the %s file has %d", rows, m.Kind, m.Counts.RowsRead)
	}
}

// validateFiles checks one list of staged files and counts its rows.
func validateFiles(name string, files []StagedParquet, fault func(string, ...any)) int64 {
	var rows int64
	last := ""
	for i, f := range files {
		if f.Key == "" || !isSHA256(f.SHA256) || f.Bytes <= 0 || f.Rows <= 0 {
			fault("%s[%d]: key, sha256, bytes or rows is missing", name, i)
		}
		if f.Rows > maxManifestRows {
			fault("%s[%d]: more rows than any file holds", name, i)
		}
		if (f.MinKey == "") != (f.MaxKey == "") || f.MinKey > f.MaxKey {
			fault("%s[%d]: min_key and max_key are no range", name, i)
		}
		if i > 0 && f.MinKey != "" && f.MinKey <= last {
			fault("%s[%d]: its keys do not follow those of the file before", name, i)
		}
		last = f.MaxKey
		rows += f.Rows
	}
	return rows
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}
