// Package sqs receives from a standard queue of SQS.
//
// A call of Receive is one long poll of up to twenty seconds. It is never broken off: SQS
// gives messages to a poll whose caller has gone, too, and they stay out of sight until
// their visibility timeout is over. So a Receive whose context ends waits for its poll, and
// shows again what came with it. What the poll of a killed process was given comes late.
//
// How long a message stays
// out of sight (visibility timeout), how often it may come and where it goes then
// (redrive policy) are attributes of the queue, which deploy/aws sets.
//
// Permissions: GetQueueUrl, ReceiveMessage, DeleteMessage and ChangeMessageVisibility
// on the queue.
package sqs
