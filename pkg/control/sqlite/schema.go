package sqlite

// applicationID marks a control store among SQLite files: "Blc1".
const applicationID = 0x426c6331

// migrations lead from one schema to the next; those that were released never
// change.
//
// Texts compare as bytes. Times are texts of fixed width in UTC, so that they
// compare as meant and a person can read them.
var migrations = []string{`
CREATE TABLE tables (
	id      INTEGER PRIMARY KEY,
	db      TEXT NOT NULL,
	name    TEXT NOT NULL,
	version INTEGER NOT NULL,
	state   BLOB NOT NULL,
	UNIQUE (db, name)
) STRICT;

-- The events of the newest version that are not known to be in the log.
CREATE TABLE outbox (
	table_id INTEGER NOT NULL REFERENCES tables (id),
	position INTEGER NOT NULL,
	event    BLOB NOT NULL,
	PRIMARY KEY (table_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE specs (
	table_id INTEGER NOT NULL REFERENCES tables (id),
	version  INTEGER NOT NULL,
	json     BLOB NOT NULL,
	PRIMARY KEY (table_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
	table_id      INTEGER NOT NULL REFERENCES tables (id),
	file_id       TEXT NOT NULL,
	kind          INTEGER NOT NULL,
	state         TEXT NOT NULL,
	file_order    TEXT NOT NULL,
	last_modified TEXT NOT NULL,
	live          INTEGER NOT NULL,
	body          BLOB NOT NULL,
	PRIMARY KEY (table_id, file_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_live ON files (table_id, file_order) WHERE live = 1;
CREATE INDEX files_published ON files (table_id, last_modified) WHERE state = 'published' AND kind = 2;
CREATE INDEX files_order ON files (table_id, file_order);
CREATE INDEX files_state ON files (table_id, state, file_order);

CREATE TABLE objects (
	id            INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival
	file_id       TEXT NOT NULL UNIQUE,
	bucket        TEXT NOT NULL,
	key           TEXT NOT NULL,
	version_id    TEXT NOT NULL,
	etag          TEXT NOT NULL,
	size          INTEGER NOT NULL,
	last_modified TEXT NOT NULL,
	state         TEXT NOT NULL,
	db            TEXT NOT NULL,
	name          TEXT NOT NULL,
	after         INTEGER NOT NULL,
	event         BLOB,
	deliveries    INTEGER NOT NULL,
	revision      INTEGER NOT NULL
) STRICT;
CREATE INDEX objects_state ON objects (state);
`, `
-- Set for one table's part of a transaction file; the key is the file's.
ALTER TABLE objects ADD COLUMN part_of TEXT NOT NULL DEFAULT '';
ALTER TABLE objects ADD COLUMN part_schema TEXT NOT NULL DEFAULT '';
ALTER TABLE objects ADD COLUMN part_table TEXT NOT NULL DEFAULT '';
`, `
-- Who waits for the end of a file, and that end.
CREATE TABLE executions (
	file_id   TEXT PRIMARY KEY,
	execution TEXT NOT NULL,
	since     TEXT NOT NULL,
	token     TEXT NOT NULL,
	parts     TEXT NOT NULL,
	ended     BLOB NOT NULL,
	revision  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX executions_waiting ON executions (file_id) WHERE token != '';
`}
