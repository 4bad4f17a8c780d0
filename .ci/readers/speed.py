"""Compares how fast readers that are not ours read a maintained table and a fresh one.

The folder is one that `go run ./tools/bench -maintained DIR` made: bench.churned
got many change batches and was maintained since, bench.fresh was loaded with the
same rows. Each round reads both, in turns; the fastest rounds are compared, since
what disturbs a round only makes it slower. pyiceberg runs in this process, and so
its processor time is taken, which other programs disturb least: the files are local.
"""

import argparse
import sys
import time
from pathlib import Path

import pyarrow.compute as pc

from lake import PROVENANCE, open_lake
from with_pyiceberg import catalog

CHURNED, FRESH = ("bench", "churned"), ("bench", "fresh")
LIMIT = 1.3
ROWS = 400_000


def with_pyiceberg(lake):
    """Reads all columns of a table into memory; also compares the rows."""
    opened = catalog(lake)

    def read(name):
        return opened.load_table(name).scan().to_arrow()

    tables = [read(name) for name in (CHURNED, FRESH)]
    if any(table.num_rows < ROWS for table in tables):
        raise SystemExit(f"FAIL {[t.num_rows for t in tables]} rows, at least {ROWS} are needed to tell")
    own = [name for name in tables[1].column_names if not name.startswith(PROVENANCE)]
    ordered = [table.select(own).take(pc.sort_indices(table, [("id", "ascending")])) for table in tables]
    if not ordered[0].combine_chunks().equals(ordered[1].combine_chunks()):
        raise SystemExit("FAIL the tables do not hold the same rows")
    print(f"ok   both tables hold the same {tables[0].num_rows} rows")
    return read


def with_spark(lake, jars):
    """Reads all columns of a table inside of Spark, down to one number."""
    from spark import session

    opened = session(lake, jars)

    def read(name):
        frame = opened.table(".".join(f"`{part}`" for part in (lake.catalog, *name)))
        own = [f"`{column}`" for column in frame.columns if not column.startswith(PROVENANCE)]
        return frame.selectExpr("count(1)", f"sum(xxhash64({', '.join(own)}))").collect()

    if read(CHURNED) != read(FRESH):
        raise SystemExit("FAIL Spark does not find the same rows in both tables")
    return read


def measure(reader, read, rounds, clock):
    """Says whether the maintained table reads about as fast as the fresh one."""
    took = {CHURNED: [], FRESH: []}
    for n in range(rounds):
        for name in (CHURNED, FRESH) if n % 2 else (FRESH, CHURNED):
            start = clock()
            read(name)
            took[name].append(clock() - start)
    churned, fresh = min(took[CHURNED]), min(took[FRESH])
    ratio = churned / fresh
    good = ratio <= LIMIT
    print(
        f"{'ok  ' if good else 'FAIL'} {reader}: maintained {churned:.2f} s, fresh {fresh:.2f} s"
        f" (fastest of {rounds}): {ratio:.2f}x, at most {LIMIT}x"
    )
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that the benchmark made")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jars", type=Path, help="a folder with the jars of Spark's reader; reads with Spark, too")
    given = parser.parse_args()
    lake = open_lake(given.folder)
    good = measure("pyiceberg", with_pyiceberg(lake), given.rounds, time.process_time)
    if given.jars:
        good = measure("Spark", with_spark(lake, given.jars), given.rounds, time.perf_counter) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
