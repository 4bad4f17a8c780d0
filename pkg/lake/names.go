package lake

import (
	"fmt"
	"strings"

	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
)

// Identifier is the table's name in the catalog: namespace db, and the table's
// own name. Catalogs refuse "/", control characters, "." and ".."; those bytes,
// and a dot that two upper-case hex digits follow, stand as a dot and two hex
// digits.
func Identifier(id dms.TableID) table.Identifier {
	return table.Identifier{catalogName(id.DB), catalogName(id.Table)}
}

func catalogName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '/' || c < 0x20 || c == 0x7f,
			c == '.' && (name == "." || name == ".."),
			c == '.' && i+2 < len(name) && isUpperHex(name[i+1]) && isUpperHex(name[i+2]):
			fmt.Fprintf(&b, ".%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isUpperHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' }

// folderName spells a name with characters that mean nothing to a URI, a shell
// or a file system.
func folderName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, ".%02X", c)
		}
	}
	return b.String()
}

// tableFolder is the folder of a table in the warehouse, without "/" at its end.
func tableFolder(id dms.TableID) string {
	return folderName(id.DB) + "/" + folderName(id.Table)
}

// tombstoneFolder is the folder of a table's remembered deletes.
func tombstoneFolder(id dms.TableID) string {
	return "_tombstones/" + tableFolder(id)
}

// ownFolders are the beginnings of the keys of all that belongs to one table.
func ownFolders(id dms.TableID) []string {
	return []string{tableFolder(id) + "/data/", tableFolder(id) + "/metadata/", tombstoneFolder(id) + "/"}
}
