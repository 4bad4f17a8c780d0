// Package eventlogtest gives tests of services a real event log.
package eventlogtest
