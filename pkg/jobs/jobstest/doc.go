// Package jobstest holds the contract that every adapter of jobs.Runner keeps.
package jobstest
