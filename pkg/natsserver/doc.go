// Package natsserver runs a NATS server with JetStream inside the process.
// It listens on the loopback interface only, so that operators on the same
// machine can reach it with the nats CLI, and it fsyncs every message before it
// acknowledges it: what the log has confirmed survives a power cut.
//
// Nothing else in the project knows whether its server is embedded: all take a
// connection to a URL.
package natsserver
