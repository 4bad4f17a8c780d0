package e2e

import (
	"fmt"
	"time"
)

// smallRegistration registers the table of smallFiles.
const smallRegistration = `database: rms
source: {prefix: dms/, schema: rms}
dms: {op_column: Op, change_seq_column: seq, null: ""}
tables:
  - {name: reports, flag: L, primary_key: [id], columns: {id: int not null, note: string}}
`

// smallFile is one object and when it was modified.
type smallFile struct {
	key, content string
	modified     time.Time
}

// smallFiles are a load of two files and five change files after it.
func smallFiles() []smallFile {
	begun := time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)
	var files []smallFile
	for part := 1; part <= 2; part++ {
		files = append(files, smallFile{
			fmt.Sprintf("dms/rms/reports/LOAD%08X.csv", part), fmt.Sprintf("%d,first,\n%d,second,\n", part*10, part*10+1), begun,
		})
	}
	for n := 1; n <= 5; n++ {
		at := begun.Add(time.Duration(n) * time.Minute)
		files = append(files, smallFile{
			at.Format("dms/rms/reports/20060102-150405") + "000.csv", fmt.Sprintf("I,%d,new,%035d\nU,10,change %d,%035d\n", 30+n, 2*n, n, 2*n+1), at,
		})
	}
	return files
}
