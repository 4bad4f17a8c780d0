// Package registry holds the registration of tables: what an operator declares
// about each table, the file it is declared in, and the rules it must obey.
package registry
