// Package onaws tests the whole product in the shape that it has on AWS: the roles as
// processes of their own that meet on a NATS server, buckets on S3, the control store in
// DynamoDB, the hold queue in SQS. A stand-in answers for AWS; its known differences
// stand in package pkg/awsconfig/awstest. Run it with `.ci/run aws`.
package onaws
