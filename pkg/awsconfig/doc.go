// Package awsconfig opens the way to AWS, or to what stands in for it, for all
// adapters alike: endpoint, region and credentials from the usual environment
// (AWS_ENDPOINT_URL and its variants, AWS_REGION, profiles, the roles of ECS and
// Lambda), retries with backoff, bounded waits, and a span and a duration for
// every call.
package awsconfig
