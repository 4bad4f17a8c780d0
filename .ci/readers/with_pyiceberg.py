"""Reads every table of a Blotter folder with pyiceberg."""

import sys

from pyiceberg.catalog.sql import SqlCatalog

from compare import Read, arguments, check
from lake import Lake, Table


def catalog(lake: Lake) -> SqlCatalog:
    """The folder's catalog as pyiceberg opens it."""
    return SqlCatalog(
        lake.catalog, uri=f"sqlite:///{lake.database}", warehouse=f"file://{lake.warehouse}"
    )


def identifiers(opened: SqlCatalog) -> list[str]:
    """The catalog's tables as `namespace.table`."""
    return [
        ".".join(table)
        for namespace in opened.list_namespaces()
        for table in opened.list_tables(namespace)
    ]


def main() -> int:
    lake, expected, _ = arguments(__doc__)
    opened = catalog(lake)

    def read(_: Lake, table: Table) -> Read:
        loaded = opened.load_table((table.namespace, table.name))
        types = {
            field.name: str(field.field_type).replace(" ", "")
            for field in loaded.schema().fields
        }
        arrow = loaded.scan().to_arrow()
        columns = {name: arrow.column(name).to_pylist() for name in types}
        return Read(types, columns, delete_note(loaded))

    return 0 if check(lake, identifiers(opened), read, expected) else 1


def delete_note(loaded) -> str:
    """How many position deletes the reader had to apply."""
    snapshot = loaded.current_snapshot()
    deletes = snapshot.summary["total-position-deletes"] if snapshot else None
    return f", {deletes} position deletes" if deletes not in (None, "0") else ""


if __name__ == "__main__":
    sys.exit(main())
