"""Reads tables through the Glue Data Catalog with pyiceberg.

Compares each with what `blotter cat` printed, and the columns that Glue shows, which are
what Athena goes by, with those of the Iceberg schema. Endpoint, region and credentials
come from the usual environment of AWS.
"""

import argparse
import os
import sys
from pathlib import Path

import boto3
from pyiceberg.catalog.glue import GlueCatalog

from compare import Read, faults
from lake import Table

# Glue's types of what a table of Blotter is made of; the others are spelled alike.
GLUE_TYPES = {"long": "bigint", "timestamptz": "timestamp"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix", help="that of the databases: glue://PREFIX")
    parser.add_argument("expected", type=Path, help="a folder with <db>.<table>.csv of `blotter cat`")
    given = parser.parse_args()

    endpoint = os.environ["AWS_ENDPOINT_URL"]
    catalog = GlueCatalog(
        "blotter",
        **{
            "glue.endpoint": endpoint,
            "s3.endpoint": endpoint,
            "s3.region": os.environ["AWS_REGION"],
            "client.region": os.environ["AWS_REGION"],
        },
    )
    glue = boto3.client("glue", endpoint_url=endpoint, region_name=os.environ["AWS_REGION"])

    expected = {file.stem: file for file in given.expected.glob("*.csv")}
    there = {
        f"{database.removeprefix(given.prefix)}.{table}"
        for (database,) in catalog.list_namespaces()
        if database.startswith(given.prefix)
        for _, table in catalog.list_tables(database)
    }
    if not expected or there != expected.keys():
        print(f"FAIL the catalog has the tables {sorted(there)}, expected {sorted(expected)}")
        return 1

    good = True
    for identifier, file in sorted(expected.items()):
        namespace, name = identifier.split(".")
        database = given.prefix + namespace
        loaded = catalog.load_table((database, name))
        types = {
            field.name: str(field.field_type).replace(" ", "")
            for field in loaded.schema().fields
        }
        arrow = loaded.scan().to_arrow()
        read = Read(types, {column: arrow.column(column).to_pylist() for column in types})
        found = faults(Table(namespace, name, tuple(types.items())), read, file)

        storage = glue.get_table(DatabaseName=database, Name=name)["Table"]["StorageDescriptor"]
        shown = {
            column["Name"]: column["Type"]
            for column in storage["Columns"]
            if column.get("Parameters", {}).get("iceberg.field.current") != "false"
        }
        want = {column: GLUE_TYPES.get(kind, kind) for column, kind in types.items()}
        if shown != want:
            found.append(f"Glue shows the columns {shown}, the schema says {want}")

        for fault in found:
            print(f"FAIL {identifier}: {fault}")
        if not found:
            print(f"ok   {identifier}: {arrow.num_rows} rows")
        good = good and not found
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
