// Package registry holds the registration of tables: what an operator declares
// about each table, the file it is declared in, and the rules it must obey.
//
// Parse reads a registration file and applies the rules, Table.Validate applies
// them to one table, CheckTogether to several. AssignIDs carries field ids from
// one version of a registration to the next. Table.LayoutFor gives the columns of
// a headerless file; a Matcher says to which table an object belongs.
package registry
