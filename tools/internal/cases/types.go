package cases

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/openblotter/blotter/pkg/registry"
)

var typeNames = map[string]registry.Kind{
	"boolean": registry.Boolean,
	"int":     registry.Int, "bigint": registry.Long,
	"float": registry.Float, "double": registry.Double,
	"date": registry.Date, "timestamp": registry.Timestamp, "timestamptz": registry.TimestampTZ,
	"string": registry.String, "binary": registry.Binary,
}

var decimalType = regexp.MustCompile(`^decimal\((\d+), ?(\d+)\)$`)

// parseType reads a type as cases spell it. It stands apart from the reader of
// registrations on purpose: the two must agree without sharing a fault. Only a
// name that cases have no word for is read as registrations read it.
func parseType(s string) (registry.Type, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if kind, ok := typeNames[s]; ok {
		return registry.Type{Kind: kind}, nil
	}
	m := decimalType.FindStringSubmatch(s)
	if m == nil {
		return registry.ParseType(s)
	}
	precision, _ := strconv.Atoi(m[1])
	scale, _ := strconv.Atoi(m[2])
	if precision < 1 || precision > 38 || scale > precision {
		return registry.Type{}, fmt.Errorf("type %q: precision 1 to 38, scale up to it", s)
	}
	return registry.Type{Kind: registry.Decimal, Precision: precision, Scale: scale}, nil
}
