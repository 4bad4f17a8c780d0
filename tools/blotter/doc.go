// Command blotter runs the system and is how operators work with it. See
// `blotter help`.
package main
