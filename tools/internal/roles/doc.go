// Package roles is the one wiring of all services: what each role needs, and in
// which order they start. One process may run all roles on an embedded NATS
// server, or some of them on a NATS cluster; the roles do not see the difference.
package roles
