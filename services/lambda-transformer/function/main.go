package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	h, err := newHandler(os.Getenv(memoryVariable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.Start(h.handle)
}

// newHandler makes a handler between buckets of S3, for a function with so much memory
// in MB.
func newHandler(memory string) (*handler, error) {
	cfg, bytes, err := configOf(memory)
	if err != nil {
		return nil, err
	}
	if bytes > 0 {
		// The collector works harder before Lambda ends the program for its memory.
		debug.SetMemoryLimit(bytes * 85 / 100)
	}
	return &handler{cfg: cfg, open: openS3}, nil
}
