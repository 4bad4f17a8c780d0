// Package glue is the Iceberg catalog of AWS: the Glue Data Catalog, in which
// Athena, Redshift, EMR and the console find the tables.
//
// # Tables in Glue
//
// A table of Iceberg is a table of Glue of the parameters table_type=ICEBERG and
// metadata_location, as the libraries of Iceberg and AWS have them; its columns are
// those of the Iceberg schema, and follow it with each commit: first today's, then
// those that it had before (iceberg.field.current=false), which Lake Formation needs to
// grant them. All else that somebody else says of the table in Glue stays. The
// properties of the Iceberg table are not repeated there: the account of a large commit
// is longer than a parameter may be. The database is a prefix and the namespace.
//
// # Commits
//
// A commit reads the table of Glue with its version, checks the requirements on the
// metadata that it names, writes the next metadata and updates the table under the
// condition that its version is still that one (VersionId); Glue keeps no old version
// of it (SkipArchive). A commit that came second is table.ErrCommitFailed. One of which
// the answer was lost is found again by the name of its metadata, which is new each
// time: as the table's metadata, or in the log of it where another commit followed.
// Where neither is so and Glue did not refuse it, the error says nothing of the outcome:
// it may still land.
//
// Calls are repeated with backoff by the client (awsconfig), throttled ones too, and
// each of them ends within CallTimeout.
//
// # Why not the catalog of iceberg-go
//
// That of v0.7.0 copies all properties of a table into parameters of Glue, which are
// bounded, and leaves them there when they are removed; tells a commit as second whose
// own repetition by the client met its first try; and knows no IO but that of
// a process-wide registry.
//
// Permissions: glue:GetDatabase, GetTable and UpdateTable on the catalog, the databases
// of the prefix and their tables; CreateTable where tables are to be made, and
// CreateDatabase where databases are.
package glue
