// Package sns publishes alerts to a topic of Amazon SNS.
//
// Subscribers by mail, SMS or chat get the alert as text, those by HTTPS, SQS, Lambda
// and Firehose as JSON. The attributes `table`, `kind` and `reason` are there for
// subscriptions that filter. A topic whose name ends in .fifo keeps the order of a
// table, and takes an alert that is sent again within five minutes once.
//
// Permissions: sns:Publish on the topic.
package sns
