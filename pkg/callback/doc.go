// Package callback tells workflows that wait what they wait for. A task that waits is
// named by a token, which is a secret: whoever has it can answer.
package callback
