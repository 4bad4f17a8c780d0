"""Reads every table of a Blotter folder with Spark and the Iceberg runtime."""

import sys

from pyspark.sql import SparkSession

from compare import Read, arguments, check
from lake import Lake, Table
from spark import session

# Spark's name of a type: Iceberg's. The others have one name in both.
TYPES = {"bigint": "long", "timestamp": "timestamptz", "timestamp_ntz": "timestamp"}


def identifiers(opened: SparkSession, catalog: str) -> list[str]:
    """The catalog's tables as `namespace.table`."""
    namespaces = [row[0] for row in opened.sql(f"SHOW NAMESPACES IN `{catalog}`").collect()]
    return [
        f"{namespace}.{row.tableName}"
        for namespace in namespaces
        for row in opened.sql(f"SHOW TABLES IN `{catalog}`.`{namespace}`").collect()
    ]


def main() -> int:
    lake, expected, jars = arguments(__doc__)
    opened = session(lake, jars)

    def read(lake: Lake, table: Table) -> Read:
        frame = opened.table(f"`{lake.catalog}`.`{table.namespace}`.`{table.name}`")
        types = {name: TYPES.get(kind, kind) for name, kind in frame.dtypes}
        rows = frame.collect()
        columns = {name: [row[i] for row in rows] for i, name in enumerate(types)}
        return Read(types, columns)

    good = check(lake, identifiers(opened, lake.catalog), read, expected)
    opened.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
