// Package laketest is the contract suite of the lake's catalog: every adapter of
// lake.Catalog runs it.
package laketest
