// Package webhook posts alerts to a web address.
//
// The body is the alert as JSON, with two more fields: `title`, and `text`, which is
// what Slack, Mattermost and others show of a message. The header Blotter-Alert-Id is
// the alert's id: one that is seen twice is the same alert. An answer of 2xx has taken
// it; 408, 429 and 5xx have it sent again; any other refuses it.
package webhook
