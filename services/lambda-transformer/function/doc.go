// Function is Blotter's AWS Lambda function: it does the whole transform of one file,
// from S3 to S3 (runtime provided.al2023; the handler's name does not matter).
//
//	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go build -trimpath -tags lambda.norpc -ldflags '-s -w' \
//		-o bootstrap ./services/lambda-transformer/function
//
// It is told everything by the plan that it is invoked with: see package
// pkg/jobs/lambda/invocation. Rows that do not fit into a quarter of its memory go to
// sorted files in /tmp, whose size (512 MB to 10 GB) must hold the rows of a file.
package main
