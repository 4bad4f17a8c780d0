// Package lake keeps the Iceberg tables: it audits what a transform staged,
// merges it into a table, and makes it visible in one commit that carries the
// token of the grant.
//
// # Fencing
//
// The token of the last commit stands in the properties of the table. Each
// commit is pinned to the snapshot of the metadata in which the token was read,
// so that of two commits that read the same token one fails, reads again and
// finds the other. Publish answers again for its own token, and refuses one that
// is older than the table's; Fence makes the lake refuse a token by an empty
// snapshot that carries it. For one token at most one of them ever commits.
//
// # Merging
//
// Rows compare by (position, row number). Of each key the latest change of the
// batch is taken, and dropped if the table's row or a remembered delete of the
// key is later still. Staged and data files are sorted by the encoded key, so
// that everything is a merge of sorted streams: memory holds one window of
// changes, one page per column of the open files, of which Config.MergeFanIn bounds
// the number, one bit per staged row and four bytes per replaced row of the table, and
// sixteen per row that an engine has named in the data files at hand.
//
// Replaced rows are hidden by position deletes, or by rewriting the files that
// hold them; see Config. A staged file of which every row survives becomes a
// data file as it is.
//
// # Position deletes of an engine
//
// For a large table an engine of many machines may do the search for the replaced
// rows: Snapshot names it the snapshot and its files, Finder searches shares of them,
// and the manifest brings what was found (transform.PositionDeletes). A publication
// against that same snapshot then looks at the rows that are named, and searches only
// for the keys of which none is; against any other it searches as always. Nothing is
// taken on trust, so that both ways give the same rows: each named row must be live and
// have the key of a change, and a row that is not named must not be found. A claim that
// fails is an AuditError. Which of row and change is later, and what becomes of the
// files, is decided as without.
//
// # Schemas
//
// The lake owns the field ids of its tables and finds columns by name, without
// regard to case; the ids of registrations and staged files hold for those alone.
// A column that the registration or a file of the publication brings gets the
// table's next id, a type of either that is wider widens the table's (int to long,
// float to double, a decimal to more precision of the same scale), and columns
// take the order of the registration. All of it is part of the transaction that
// publishes the rows: schema, snapshot and properties change in one commit. No
// column is ever removed or renamed. Data files stay as they are: narrower values
// are read as the wider type, and encoded keys have the same bytes. A staged file
// whose ids or types differ from the table's is written anew instead of adopted.
//
// # Properties of a table
//
//	blotter.token       the token of the last commit, decimal
//	blotter.generation  the generation that the last replacing commit published
//	blotter.publish     the Result of the last commit, as JSON
//	blotter.key         the field ids of the primary key, in its order: "1,4"; empty without one
//	blotter.tombstones  the remembered deletes: Parquet files with hash, rows and key bounds, as JSON
//	blotter.table       the table's name at its source, <db>.<table>
//	blotter.spec        the version of the registration that the schema follows
//	blotter.orphans     what the last search for orphans found, as JSON
//
// Snapshots carry blotter.token, blotter.strategy and blotter.files (how many)
// in their summary, blotter.named if an engine named the rows that were replaced, and
// blotter.set_back_to where they fence a table that was set back.
//
// # Maintenance
//
// Maintain takes one bounded step: it merges small data files and files with many
// deleted rows, then position deletes, then manifests, forgets old snapshots, or
// removes objects that nothing refers to; MaintenanceConfig says when each is due.
// A step is one commit, pinned and with a token like a publication, and leaves
// every row as it is. Where there is nothing else to commit it makes an empty
// snapshot: without one the pin would hold nothing.
//
// Expiry removes no object. What no snapshot, no entry of the metadata log and no
// property names any longer is an orphan, as is what a failed commit left; it goes
// when it is old. Only objects in the table's own folders below are looked at.
// A search holds the names of the table's objects in memory.
//
// # Layout of the warehouse
//
//	<db>/<table>/data/      data files and position deletes
//	<db>/<table>/metadata/  what Iceberg writes
//	_tombstones/<db>/<table>/  remembered deletes: outside of the tables, so that
//	                           no engine's orphan cleanup takes them
//
// In these folders every byte of a name other than A-Z a-z 0-9 _ - stands as a
// dot and two hex digits ("case notes" is case.20notes). In the catalog a table
// bears its own name; see Identifier.
//
// # Crashes
//
// Nothing is visible before the catalog's commit, and everything that the commit
// names is durable before it. A crash leaves unreferenced files at worst; the
// same Publish again gives the same rows.
package lake
