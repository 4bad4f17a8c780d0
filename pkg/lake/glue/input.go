package glue

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
)

// The parameters of a column, as all of Iceberg's libraries have them.
const (
	fieldID       = "iceberg.field.id"
	fieldOptional = "iceberg.field.optional"
	fieldCurrent  = "iceberg.field.current"
)

// maxComment is how long a comment of Glue may be, in characters.
const maxComment = 255

// tableInput is the table as Glue is to have it: what it says of it now (nil for a new
// one), with other metadata.
func tableInput(name string, now *types.Table, meta table.Metadata, location string) *types.TableInput {
	in := &types.TableInput{Name: &name, TableType: aws.String(typeExternal), PartitionKeys: []types.Column{}}
	storage := types.StorageDescriptor{}
	parameters := map[string]string{}
	if now != nil {
		in = &types.TableInput{
			Name: &name, Description: now.Description, LastAccessTime: now.LastAccessTime, LastAnalyzedTime: now.LastAnalyzedTime,
			Owner: now.Owner, PartitionKeys: now.PartitionKeys, Retention: now.Retention, TableType: now.TableType,
			TargetTable: now.TargetTable, ViewExpandedText: now.ViewExpandedText, ViewOriginalText: now.ViewOriginalText,
		}
		if now.StorageDescriptor != nil {
			storage = *now.StorageDescriptor
		}
		maps.Copy(parameters, now.Parameters)
		parameters[paramPrevious] = parameters[paramLocation]
	}
	parameters[paramType], parameters[paramLocation] = typeIceberg, location
	storage.Location, storage.Columns = aws.String(meta.Location()), columns(meta, storage.Columns)
	in.Parameters, in.StorageDescriptor = parameters, &storage
	return in
}

// columns gives the columns of the current schema in their order, then those of earlier
// ones under names that are free. A comment is the field's own, else what somebody wrote
// there in Glue.
func columns(meta table.Metadata, before []types.Column) []types.Column {
	comments := map[string]*string{}
	for _, c := range before {
		comments[c.Parameters[fieldID]] = c.Comment
	}
	var all []types.Column
	taken := map[string]bool{}
	add := func(schema *iceberg.Schema, current bool) {
		for _, f := range schema.Fields() {
			// Glue, as Athena, tells no capitals in names.
			folded := strings.ToLower(f.Name)
			if taken[folded] {
				continue
			}
			taken[folded] = true
			id := strconv.Itoa(f.ID)
			c := types.Column{Name: aws.String(f.Name), Type: aws.String(glueType(f.Type)), Comment: comments[id], Parameters: map[string]string{
				fieldID: id, fieldOptional: strconv.FormatBool(!f.Required), fieldCurrent: strconv.FormatBool(current),
			}}
			if f.Doc != "" {
				c.Comment = aws.String(cut(f.Doc, maxComment))
			}
			all = append(all, c)
		}
	}
	add(meta.CurrentSchema(), true)
	for _, s := range meta.Schemas() {
		if s.ID != meta.CurrentSchema().ID {
			add(s, false)
		}
	}
	return all
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// glueType spells a type as Hive, Glue and Athena do. What they have none for is a
// string there: readers take types from the metadata.
func glueType(t iceberg.Type) string {
	switch t := t.(type) {
	case iceberg.BooleanType:
		return "boolean"
	case iceberg.Int32Type:
		return "int"
	case iceberg.Int64Type:
		return "bigint"
	case iceberg.Float32Type:
		return "float"
	case iceberg.Float64Type:
		return "double"
	case iceberg.DateType:
		return "date"
	case iceberg.TimestampType, iceberg.TimestampTzType:
		return "timestamp"
	case iceberg.BinaryType, iceberg.FixedType:
		return "binary"
	case iceberg.DecimalType:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision(), t.Scale())
	case *iceberg.ListType:
		return "array<" + glueType(t.Element) + ">"
	case *iceberg.MapType:
		return "map<" + glueType(t.KeyType) + "," + glueType(t.ValueType) + ">"
	case *iceberg.StructType:
		fields := make([]string, 0, len(t.FieldList))
		for _, f := range t.FieldList {
			fields = append(fields, f.Name+":"+glueType(f.Type))
		}
		return "struct<" + strings.Join(fields, ",") + ">"
	}
	return "string"
}
