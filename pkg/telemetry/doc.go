// Package telemetry connects the process to OpenTelemetry and keeps the one
// rule of our traces: a file has one trace, whose id is its file id, so that the
// spans of every service meet there without any of them having to pass a parent
// on. Without an OTLP endpoint in the environment everything here is a no-op.
package telemetry
