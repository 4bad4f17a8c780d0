// Package ingress is the queue in which the outside tells of what happened: objects
// that came or went, executions that wait or ended, tasks of DMS. It knows nothing of
// what the messages mean.
package ingress
