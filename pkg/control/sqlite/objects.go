package sqlite

import (
	"context"
	"fmt"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/sqlitefile"
)

const selectObjects = `SELECT file_id, bucket, key, version_id, etag, size, last_modified,
	state, db, name, after, event, deliveries, revision, part_of, part_schema, part_table FROM objects`

const objectsIn = ` WHERE state = ? ORDER BY id LIMIT ?`

const countObjects = `SELECT count(*) FROM (SELECT 1 FROM objects WHERE state = ? LIMIT ?)`

// Object implements control.Objects.
func (s *Store) Object(ctx context.Context, id dms.FileID) (control.ObjectRow, error) {
	row, err := scanObject(s.db.Reads().QueryRowContext(ctx, selectObjects+` WHERE file_id = ?`, string(id)))
	if err != nil {
		return control.ObjectRow{}, s.missing("load object of file "+string(id), err)
	}
	return row, nil
}

// ObjectsIn implements control.Objects.
func (s *Store) ObjectsIn(ctx context.Context, state control.ObjectState, limit int) ([]control.ObjectRow, error) {
	doing := "list " + string(state) + " objects"
	rows, err := s.db.Reads().QueryContext(ctx, selectObjects+objectsIn, string(state), limit)
	if err != nil {
		return nil, s.db.Explain(doing, err)
	}
	defer rows.Close()
	var list []control.ObjectRow
	for rows.Next() {
		row, err := scanObject(rows)
		if err != nil {
			return nil, s.db.Explain(doing, err)
		}
		list = append(list, row)
	}
	return list, s.db.Explain(doing, rows.Err())
}

// CountObjects implements control.Objects.
func (s *Store) CountObjects(ctx context.Context, state control.ObjectState, most int) (n int, err error) {
	err = s.db.Reads().QueryRowContext(ctx, countObjects, string(state), most).Scan(&n)
	return n, s.db.Explain("count "+string(state)+" objects", err)
}

// PutObject implements control.Objects.
func (s *Store) PutObject(ctx context.Context, row control.ObjectRow) error {
	modified, err := stamp(row.Object.LastModified)
	if err != nil {
		return fmt.Errorf("put object of file %s: %w", row.FileID, err)
	}
	var event any // NULL for an object without one
	if row.Event != nil {
		event = row.Event
	}
	o := row.Object
	args := []any{
		string(row.FileID), o.Bucket, o.Key, o.VersionID, o.ETag, o.Size, modified,
		string(row.State), row.Table.DB, row.Table.Table, int64(row.After), event,
		row.Deliveries, int64(row.Revision), string(row.Part.FileID), row.Part.Schema, row.Part.Table,
	}
	err = s.db.Write(ctx, func(tx *sqlitefile.Tx) error {
		n, err := tx.Exec(putObject(row.Revision), args...)
		if err == nil && n == 0 {
			err = control.ErrConflict
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("put revision %d of the object of file %s: %w", row.Revision+1, row.FileID, err)
	}
	return nil
}

func putObject(revision uint64) string {
	if revision == 0 {
		return `INSERT INTO objects (file_id, bucket, key, version_id, etag, size, last_modified,
			state, db, name, after, event, deliveries, revision, part_of, part_schema, part_table)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14 + 1, ?15, ?16, ?17)
			ON CONFLICT DO NOTHING`
	}
	return `UPDATE objects SET bucket = ?2, key = ?3, version_id = ?4, etag = ?5, size = ?6,
		last_modified = ?7, state = ?8, db = ?9, name = ?10, after = ?11, event = ?12,
		deliveries = ?13, revision = ?14 + 1, part_of = ?15, part_schema = ?16, part_table = ?17
		WHERE file_id = ?1 AND revision = ?14`
}

func scanObject(row scanner) (control.ObjectRow, error) {
	var r control.ObjectRow
	var id, modified, state, partOf string
	var after, revision int64
	o := &r.Object
	if err := row.Scan(&id, &o.Bucket, &o.Key, &o.VersionID, &o.ETag, &o.Size, &modified,
		&state, &r.Table.DB, &r.Table.Table, &after, &r.Event, &r.Deliveries, &revision,
		&partOf, &r.Part.Schema, &r.Part.Table); err != nil {
		return r, err
	}
	t, err := parseStamp(modified)
	if err != nil {
		return r, err
	}
	o.LastModified = t
	r.Part.FileID = dms.FileID(partOf)
	r.FileID, r.State = dms.FileID(id), control.ObjectState(state)
	r.After, r.Revision = uint64(after), uint64(revision)
	return r, nil
}
