"""Compares what a second reader read with what `blotter cat` printed."""

import argparse
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path

from lake import PROVENANCE, Lake, Table, open_lake, read_csv


@dataclass(frozen=True)
class Read:
    """A table as a reader sees it: Iceberg type by column, columns of values."""

    types: dict[str, str]
    columns: dict[str, list]
    note: str = ""


Reader = Callable[[Lake, Table], Read]


def render(kind: str, value) -> str | None:
    """A value as `blotter cat` prints it, but for the form of floats."""
    if value is None:
        return None
    if kind == "boolean":
        return "true" if value else "false"
    if kind.startswith("decimal"):
        return f"{value:f}"
    if kind == "timestamp":
        return value.isoformat(sep=" ", timespec="microseconds")
    if kind == "timestamptz":
        utc = value.astimezone(timezone.utc)
        return utc.isoformat(sep=" ", timespec="microseconds")
    if kind == "date":
        return value.isoformat()
    if kind == "binary":
        return bytes(value).hex()
    return str(value)


def number(kind: str, text: str | None) -> str | None:
    """One spelling for each float, at its own width."""
    if text is None or kind not in ("float", "double"):
        return text
    value = float(text)
    if kind == "float":
        value = struct.unpack("f", struct.pack("f", value))[0]
    return repr(value)


def faults(table: Table, read: Read, expected: Path) -> list[str]:
    """All differences between the reader's table and the printed one."""
    header, printed = read_csv(expected)
    declared = dict(table.columns)
    own = [name for name, _ in table.columns if not name.startswith(PROVENANCE)]
    if header not in (own, list(declared)):
        return [f"cat has the columns {header}, the schema {list(declared)}"]
    if read.types != declared:
        return [f"types differ: reader {read.types}, schema {declared}"]
    kinds = [declared[name] for name in header]
    columns = [
        [number(kind, render(kind, value)) for value in read.columns[name]]
        for name, kind in zip(header, kinds)
    ]
    theirs = Counter(zip(*columns))
    ours = Counter(
        tuple(number(kind, text) for kind, text in zip(kinds, row, strict=True))
        for row in printed
    )
    found = []
    if theirs.total() != ours.total():
        found.append(f"reader has {theirs.total()} rows, cat {ours.total()}")
    for who, rows in (("reader", theirs - ours), ("cat", ours - theirs)):
        if rows:
            found.append(f"{rows.total()} rows only in {who}, such as {next(iter(rows))}")
    return found


def check(lake: Lake, listed: Iterable[str], reader: Reader, expected: Path) -> bool:
    """Prints a line per table and says whether the reader agrees on all."""
    want = [table.identifier for table in lake.tables]
    if sorted(listed) != want:
        print(f"FAIL the reader lists {sorted(listed)}, the catalog holds {want}")
        return False
    good = True
    for table in lake.tables:
        start = time.monotonic()
        read = reader(lake, table)
        found = faults(table, read, expected / f"{table.identifier}.csv")
        rows = len(next(iter(read.columns.values()), []))
        took = time.monotonic() - start
        for fault in found:
            print(f"FAIL {table.identifier}: {fault}")
        if not found:
            print(f"ok   {table.identifier}: {rows} rows{read.note}, {took:.1f}s")
        good = good and not found
    return good


def arguments(description: str) -> tuple[Lake, Path, Path]:
    """The command line of both readers: the lake, the printed rows, the jars."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="the folder of `blotter up --dir`")
    parser.add_argument("expected", type=Path, help="a folder with <db>.<table>.csv of `blotter cat`")
    parser.add_argument("--jars", type=Path, help="a folder with the jars of Spark's reader")
    given = parser.parse_args()
    return open_lake(given.folder), given.expected, given.jars
