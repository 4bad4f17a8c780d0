"""What a Blotter folder says of its tables, read with the standard library only.

This is the measure that the second readers are held against: the catalog's
tables, their declared columns, and the rows as `blotter cat` prints them.
"""

import csv
import json
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

NULL = "\\N"
PROVENANCE = "_blotter_"

csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True)
class Table:
    """A table of the catalog: its columns are (name, Iceberg type) in order."""

    namespace: str
    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def identifier(self) -> str:
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True)
class Lake:
    """A folder with an Iceberg SQL catalog `catalog.db` and its warehouse."""

    folder: Path
    catalog: str
    tables: tuple[Table, ...]

    @property
    def database(self) -> Path:
        return self.folder / "catalog.db"

    @property
    def warehouse(self) -> Path:
        return self.folder / "curated"


def open_lake(folder: Path) -> Lake:
    """Reads the catalog's tables and each one's current schema."""
    folder = folder.resolve()
    database = sqlite3.connect(f"file:{folder / 'catalog.db'}?mode=ro", uri=True)
    rows = database.execute(
        "SELECT catalog_name, table_namespace, table_name, metadata_location"
        " FROM iceberg_tables ORDER BY 2, 3"
    ).fetchall()
    database.close()
    catalogs = sorted({row[0] for row in rows})
    if len(catalogs) != 1:
        raise SystemExit(f"{folder}: want one catalog with tables in it, found {catalogs}")
    tables = tuple(Table(ns, name, _columns(location)) for _, ns, name, location in rows)
    return Lake(folder, catalogs[0], tables)


def _columns(location: str) -> tuple[tuple[str, str], ...]:
    metadata = json.loads(Path(unquote(urlparse(location).path)).read_text())
    schemas = {schema["schema-id"]: schema for schema in metadata["schemas"]}
    fields = schemas[metadata["current-schema-id"]]["fields"]
    return tuple((field["name"], _type(field["type"])) for field in fields)


def _type(text: str) -> str:
    return text.replace(" ", "")


def read_csv(path: Path) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Header and rows of `blotter cat`; null is None."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader)
        rows = [
            tuple(None if field == NULL else field for field in row or [""])
            for row in reader
        ]
    return header, rows


if __name__ == "__main__":
    print(*(table.identifier for table in open_lake(Path(sys.argv[1])).tables), sep="\n")
