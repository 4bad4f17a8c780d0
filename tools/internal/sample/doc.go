// Package sample makes a believable drop of a police records system: the files
// that DMS would write for a dozen tables, what must become of each file, and
// the rows that each table must hold in the end. All people in it are invented.
//
// The drop holds what real drops hold: full loads in many files, with segments,
// with gzip, with rows that come twice; change files out of order, late,
// delivered twice, and written again after a resume; keys that change; a table
// that is loaded anew with fewer rows; one broken file, and one that waits
// behind it.
//
// Everything follows from the seed. The expected rows come from a fold over the
// changes in their true order, as the generator made them: it never reads the
// files back, and it shares no code with the pipeline.
package sample
