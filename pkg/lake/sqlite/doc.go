// Package sqlite is the Iceberg catalog of a single machine: iceberg-go's SQL
// catalog in a SQLite file. Its tables have the layout of the SQL catalogs of
// other Iceberg libraries (JdbcCatalog of Java, SqlCatalog of pyiceberg), which
// can open the same file.
package sqlite
