// Package natsauth is about who somebody is to a NATS server: how a process shows it
// (Credentials), and the users that a server is told of (Seed, Render). Users are known by
// NKeys: the server holds public keys alone, the seed never leaves its file, and what
// crosses the wire is a signature of a number that the server has made up.
package natsauth
