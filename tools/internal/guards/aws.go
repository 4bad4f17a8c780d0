package guards

// onAWS gives the guards of the stores on AWS: their tests need a stand-in for it.
func onAWS() []Guard {
	const dynamo = "pkg/control/dynamo"
	return []Guard{
		{
			Name: "conditional write in DynamoDB", Against: "a replica that overwrites what another decided meanwhile",
			File: dynamo + "/commit.go", Old: `"#version = :expect AND attribute_not_exists(#outbox) "`, New: `"(#version = :expect OR #version <> :expect) AND attribute_not_exists(#outbox) "`,
			Package: dynamo, Test: "TestContract/CommitConditions", Says: "got <nil>, want ErrConflict", AWS: true,
		},
		{
			Name: "nothing over an unsaid outbox in DynamoDB", Against: "a decision that overwrites events which the log lacks",
			File: dynamo + "/commit.go", Old: `"#version = :expect AND attribute_not_exists(#outbox) "`, New: `"#version = :expect AND (attribute_not_exists(#outbox) OR attribute_exists(#outbox)) "`,
			Package: dynamo, Test: "TestContract/OutboxRule", Says: "Commit over a full outbox: got <nil>, want ErrConflict", AWS: true,
		},
		{
			Name: "created once in DynamoDB", Against: "two replicas that both make a table's first state",
			File: dynamo + "/commit.go", Old: "put := &types.Put{TableName: &w.store.table, Item: item, ConditionExpression: aws.String(\"attribute_not_exists(pk)\")}",
			New:     "put := &types.Put{TableName: &w.store.table, Item: item}",
			Package: dynamo, Test: "TestContract/CommitConditions", Says: "got <nil>, want ErrConflict", AWS: true,
		},
		{
			Name: "an object noted once in DynamoDB", Against: "two routers that tell of one object as two",
			File: dynamo + "/objects.go", Old: "put := &types.Put{TableName: &s.table, Item: item, ConditionExpression: aws.String(\"attribute_not_exists(pk)\")}",
			New:     "put := &types.Put{TableName: &s.table, Item: item}",
			Package: dynamo, Test: "TestContract/ObjectRevisions", Says: "the first revision again: got <nil>, want ErrConflict", AWS: true,
		},
	}
}
