// Package losses holds a property of what several services do together: a table whose
// catalog is lost, put back or rolled back, again and again, and whose losses are accepted
// and taken in again, has every row once in the end, and never one twice. The state machine,
// the curator, the transform and the lake are the real ones; there is nothing but the test.
package losses
