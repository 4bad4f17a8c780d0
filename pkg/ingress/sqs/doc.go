// Package sqs receives from a standard queue of SQS.
//
// A call of Receive is one long poll of up to twenty seconds. How long a message stays
// out of sight (visibility timeout), how often it may come and where it goes then
// (redrive policy) are attributes of the queue, which deploy/aws sets.
//
// Permissions: GetQueueUrl, ReceiveMessage, DeleteMessage and ChangeMessageVisibility
// on the queue.
package sqs
