"""Proves that the second readers see what they should.

Spark writes a table of every type, with position deletes; both readers must
agree with rows that are known beforehand, and must refuse rows that are wrong.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from lake import NULL, Lake
from spark import session

TYPES = (
    "id bigint NOT NULL, small int, flag boolean, ratio float, lat double,"
    " amount decimal(10,2), issued date, seen timestamp_ntz, sent timestamp,"
    " label string, raw binary"
)
FULL = (
    "{id}L, -7, true, float(0.1), 38.907192D, 12.50BD, DATE'2262-04-12',"
    " TIMESTAMP_NTZ'9999-12-31 23:59:59.000001', TIMESTAMP'2024-03-10 06:30:00+00:00',"
    " 'a \"b\",\\n ü', X'00ff'"
)
KEPT = (
    ["1", "-7", "true", "0.1", "38.907192", "12.50", "2262-04-12",
     "9999-12-31 23:59:59.000001", "2024-03-10 06:30:00.000000+00:00", 'a "b",\n ü', "00ff"],
    ["3"] + [NULL] * 10,
)


def write_lake(folder: Path, jars: Path) -> None:
    """A table of four rows in one file, two of them deleted by position."""
    opened = session(Lake(folder, "blotter", ()), jars)
    rows = [f"({FULL.format(id=key)})" for key in (1, 2, 4)]
    rows.append("(3L" + ", NULL" * 10 + ")")
    for statement in (
        "CREATE NAMESPACE rms",
        f"CREATE TABLE rms.types ({TYPES}) USING iceberg TBLPROPERTIES ("
        "'format-version'='2', 'write.delete.mode'='merge-on-read')",
        f"INSERT INTO rms.types SELECT /*+ COALESCE(1) */ * FROM VALUES {', '.join(rows)}",
        "DELETE FROM rms.types WHERE id IN (2, 4)",
    ):
        opened.sql(statement)
    opened.stop()


def write_expected(folder: Path, rows: tuple[list[str], ...]) -> None:
    """The rows as `blotter cat` would print them."""
    with (folder / "rms.types.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column.split()[0] for column in TYPES.split(", "))
        writer.writerows(rows)


def agrees(reader: str, folder: Path, jars: Path) -> tuple[bool, str]:
    """Runs a reader as the check does."""
    script = Path(__file__).with_name(reader)
    done = subprocess.run(
        [sys.executable, script, folder, folder, "--jars", jars],
        stdout=subprocess.PIPE, text=True, check=False,
    )
    return done.returncode == 0, done.stdout


def main() -> int:
    jars = Path(sys.argv[1])
    wrong = (KEPT[0], ["2"] + KEPT[1][1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_lake(folder, jars)
        if not list(folder.rglob("*-deletes.parquet")):
            print("FAIL Spark wrote no position deletes, the self-test shows nothing")
            return 1
        for reader in ("with_pyiceberg.py", "with_spark.py"):
            for rows, want in ((KEPT, True), (wrong, False)):
                write_expected(folder, rows)
                got, printed = agrees(reader, folder, jars)
                if got != want or (want and "FAIL" in printed):
                    print(f"FAIL self-test of {reader}:\n{printed}")
                    return 1
    print("ok   both readers apply position deletes and refuse wrong rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
