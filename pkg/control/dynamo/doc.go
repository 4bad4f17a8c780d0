// Package dynamo keeps the control state in one DynamoDB table.
//
// # Items
//
//	pk                    sk                      what
//	TABLE#<db>.<table>    STATE                   version, state, outbox: the item that decides
//	                      SPEC#<version>          a registration
//	                      FILE#<file_id>          a file's row
//	                      PART#<version>#<tag>#…  what did not fit into its item
//	                      PENDING                 names the parts whose rows are not laid out
//	TABLES                <db> <table>            one for each table there is
//	OUTBOX                <db> <table>            one for each table whose outbox is not empty
//	OBJECT#<file_id>      OBJECT                  what ingest-router knows of an object
//	OBJECTS#<state>       <arrival> <file_id>     the pending and the held objects, oldest first
//	EXECUTION#<file_id>   EXECUTION               who waits for a file's end, and that end
//	WAITING               <file_id>               the files for which somebody waits
//
// Versions and arrivals are padded, so that their texts compare as they do. All
// reads are consistent. Lists of a table's files are its local indexes, which are
// consistent too: live (the rows that wait or run: what is WAIT#… elsewhere),
// published (change files by their time), order and state (for people). They are
// sparse; all but the first hold keys only.
//
// # Commit
//
// One transaction puts STATE, under the condition that the version is the
// expected one, that the outbox is empty and that no rows wait to be laid out,
// with everything else of the change. The SDK names each call by a token, so that
// a lost answer and a repeated call are one write. A write that has begun is not
// given up when its context ends: its result would be unknown.
//
// A transaction has at most 100 items, an item 400 KB; a change may have more.
// Then what does not fit is written before as parts, which nobody sees: state and
// outbox beyond 100 KiB, and the rows, if they are many. The same one transaction
// names the parts' tag in STATE and PENDING: that is the commit. After it the rows
// are laid out into their FILE items, part by part, each under the condition that
// PENDING still names the tag; then STATE and PENDING forget it. Whoever reads or
// commits files looks at PENDING first and lays out what is left. So
//
//   - dead before the transaction: the parts are garbage, removed by the next
//     commit that has parts;
//   - dead after it: the commit happened; the next reader completes it;
//   - slow, and overtaken: the condition on PENDING refuses, nothing is changed.
//
// # Table
//
// Schema is the table; the same for Terraform:
//
//	resource "aws_dynamodb_table" "control" {
//	  name         = "blotter-control"
//	  billing_mode = "PAY_PER_REQUEST"
//	  hash_key     = "pk"
//	  range_key    = "sk"
//	  dynamic "attribute" {
//	    for_each = ["pk", "sk", "by_live", "by_published", "by_order", "by_state"]
//	    content {
//	      name = attribute.value
//	      type = "S"
//	    }
//	  }
//	  dynamic "local_secondary_index" {
//	    for_each = { live = "ALL", published = "KEYS_ONLY", order = "KEYS_ONLY", state = "KEYS_ONLY" }
//	    content {
//	      name            = local_secondary_index.key
//	      range_key       = "by_${local_secondary_index.key}"
//	      projection_type = local_secondary_index.value
//	    }
//	  }
//	  point_in_time_recovery {
//	    enabled = true
//	  }
//	  deletion_protection_enabled = true
//	}
//
// Local indexes can only be made with their table. They bound what lies below one
// pk to 10 GB: some eight million files for one table.
//
// Permissions: DescribeTable, GetItem, BatchGetItem, Query, PutItem, UpdateItem,
// DeleteItem and ConditionCheckItem on the table, Query on its indexes.
package dynamo
