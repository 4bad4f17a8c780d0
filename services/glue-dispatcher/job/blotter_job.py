"""The Spark job: stages the files of one plan.

    blotter_job.py --blotter_plan URI --blotter_stage FOLDER --blotter_rows PROGRAM
                   [--blotter_positions PROGRAM]

On AWS Glue 5 (Spark 3.5, Python 3.11) this script is the job; on one machine
session.py calls stage_plan. The plan says what to do and where (pkg/jobs/plan).

Spark reads in parallel by file, moves, sorts and spills; what a row means is the
business of the program `rows` (pkg/jobs/rows), which every task starts and feeds:
one set of rules for all engines. No row passes through Python one by one, and none
through the driver.

A file is sorted where it is read. One of more than SHUFFLE_BYTES is spread over
the cluster first, by the ranges of its keys. What is staged depends on neither. Files
are sealed wave by wave: a run that comes after one that broke off finds what is sealed,
and does the rest.

Where the plan names a snapshot of the table, the program `positions` finds in its
data files the rows that a change file changes (pkg/jobs/positions), some in each task.
"""

import argparse
import base64
import contextlib
import json
import struct
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlparse

import numpy
import pyarrow
from pyspark import SparkContext, SparkFiles, StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

CHANGES = "file int, place binary, data binary"  # of a summary the place is empty
PARTS = "file int, document string"
FOUND = "document string"

# A piece of a change has 16 KiB at most, so that a batch stays below 64 MiB.
BATCH_ROWS = 4096
SHUFFLE_BYTES = 256 << 20
# How much of a load is on the disks of the cluster at once, and how much of it is done
# again at most when a run breaks off.
WAVE_BYTES = 8 << 30

# As a job the script is __main__: tasks get what they use of it by value. So nothing
# here may be what cannot be pickled.
_BLOCK = "<III"
_LENGTH = "<I"


class RowsError(RuntimeError):
    """The program for rows failed; its message says why. The fault may pass."""


class StartError(RowsError):
    """A program did not start: the fault is of the machine, and of no file."""


@dataclass(frozen=True)
class Rows:
    """How tasks start the program for rows, and the plan that they tell it."""

    plan: bytes
    command: tuple[str, ...] = ()  # on this machine
    shipped: str = ""  # or a file that Spark sends along
    # The program for positions likewise; with neither nobody searches.
    positions: tuple[str, ...] = ()
    shipped_positions: str = ""
    # Tells the work of one run from that of another with the same plan: Spark keeps what
    # is to be kept by what it is made of, so that the two would share it, and the first
    # to end would take it from the other.
    run: str = ""

    def start(self, *args: str) -> "Process":
        return self._start(self.command, self.shipped, args)

    def _start(self, command: tuple[str, ...], shipped: str, args: tuple[str, ...]) -> "Process":
        process = Process([*(command or (SparkFiles.get(shipped),)), *args])
        process.write(struct.pack(_LENGTH, len(self.plan)), self.plan)
        return process

    def searches(self) -> bool:
        return bool(self.positions or self.shipped_positions)

    def search(self, part: dict, shares: int):
        """A task that searches shares of the data files: its batches hold numbers of them."""
        document = json.dumps(part).encode()

        def task(batches):
            for batch in batches:
                for share in batch.column(0).to_pylist():
                    args = (str(part["file"]), str(share), str(shares))
                    with self._start(self.positions, self.shipped_positions, args) as process:
                        process.write(struct.pack(_LENGTH, len(document)), document)
                        process.end_input()
                        found = process.finish().decode()
                    yield pyarrow.RecordBatch.from_arrays([pyarrow.array([found])], names=["document"])

        return task

    def read(self, numbers: list[int]):
        """A task that reads files: its batches hold places in numbers."""

        def task(batches):
            for batch in batches:
                for place in batch.column(0).to_pylist():
                    yield from self._read_file(numbers[place])

        return task

    def _read_file(self, number: int):
        with self.start("read", str(number)) as process:
            process.end_input()
            while True:
                count, places, data = struct.unpack(_BLOCK, process.take(struct.calcsize(_BLOCK)))
                if count == 0:
                    break
                offsets = 4 * (count + 1)
                columns = [(process.take(offsets)) for _ in range(2)]
                values = [process.take(places), process.take(data)]
                yield _changes(number, count, columns, values)
            summary = process.finish()
        ends = [struct.pack("<ii", 0, 0), struct.pack("<ii", 0, len(summary))]
        yield _changes(number, 1, ends, [b"", summary])

    def stage(self, summaries: dict[int, bytes]):
        """A task that stages sorted changes, of one file after another.

        Where no summary is given, the file's first row is it.
        """

        def task(batches):
            part = None
            for batch in batches:
                for number, start, stop in _runs(batch.column(0)):
                    if part is None or part.number != number:
                        if part is not None:
                            yield part.finish()
                        part = _Part(self, number, summaries.get(number))
                    part.feed(batch.column(2).slice(start, stop - start))
            if part is not None:
                yield part.finish()

        return task

    def seal(self, parts: list[dict]) -> dict:
        """Writes the manifests and failures of some files; it gives how many of each."""
        with self.start("seal") as process:
            process.write(json.dumps(parts).encode())
            process.end_input()
            return json.loads(process.finish())


class Process(contextlib.AbstractContextManager):
    """A child that is gone when its block ends, however that ends."""

    def __init__(self, command: list[str]):
        self._errors = tempfile.TemporaryFile()
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            )
        except OSError as fault:
            self._errors.close()
            raise StartError(f"the program {command[0]} does not start: {fault.strerror}") from None

    def __exit__(self, *_):
        self._child.kill()
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        self._child.stdout.close()
        self._child.wait()
        self._errors.close()

    def write(self, *parts) -> None:
        try:
            for part in parts:
                self._child.stdin.write(part)
        except BrokenPipeError:
            raise self._failure() from None

    def end_input(self) -> None:
        try:
            self._child.stdin.close()
        except BrokenPipeError:
            raise self._failure() from None

    def take(self, size: int) -> bytes:
        data = self._child.stdout.read(size)
        if len(data) != size:
            raise self._failure()
        return data

    def finish(self) -> bytes:
        """The rest of the output of a child that ends well."""
        rest = self._child.stdout.read()
        if self._child.wait() != 0:
            raise self._failure()
        return rest

    def _failure(self) -> RowsError:
        status = self._child.wait()
        self._errors.seek(0)
        text = self._errors.read(1 << 16).decode(errors="replace").strip()
        return RowsError(text or f"the program for rows ended with status {status}")


class _Part:
    """The part of a file that one task stages."""

    def __init__(self, rows: Rows, number: int, summary: bytes | None):
        self.number = number
        self._stack = contextlib.ExitStack()
        self._process = self._stack.enter_context(rows.start("stage", str(number)))
        self._summary = None
        self._told = summary is not None
        if self._told:
            self._process.write(struct.pack(_LENGTH, len(summary)), summary)

    def feed(self, data: pyarrow.Array) -> None:
        """Passes pieces on; they are changes, end to end."""
        if not self._told:
            self._summary, self._told = data[0].as_py(), True
            self._process.write(struct.pack(_LENGTH, len(self._summary)), self._summary)
            data = data.slice(1)
        if len(data) == 0:
            return
        _, offsets, values = data.buffers()
        ends = numpy.frombuffer(offsets, numpy.int32)
        first, last = ends[data.offset], ends[data.offset + len(data)]
        if last > first:
            self._process.write(memoryview(values)[first:last])

    def finish(self) -> pyarrow.RecordBatch:
        with self._stack:
            self._process.write(struct.pack(_LENGTH, 0))
            self._process.end_input()
            ranges = json.loads(self._process.finish())
        document = {"file": self.number, "ranges": ranges}
        if self._summary is not None:
            document["summary"] = json.loads(self._summary)
        return pyarrow.RecordBatch.from_arrays(
            [pyarrow.array([self.number], pyarrow.int32()), pyarrow.array([json.dumps(document)])],
            names=["file", "document"],
        )


def _changes(number: int, count: int, offsets: list[bytes], values: list[bytes]):
    """A batch in the layout of a block: no row is looked at."""
    columns = [pyarrow.array(numpy.full(count, number, numpy.int32))]
    for ends, data in zip(offsets, values):
        columns.append(pyarrow.Array.from_buffers(
            pyarrow.binary(), count, [None, pyarrow.py_buffer(ends), pyarrow.py_buffer(data)],
        ))
    return pyarrow.RecordBatch.from_arrays(columns, names=["file", "place", "data"])


def _runs(numbers: pyarrow.Array):
    """Where each file's rows begin and end in a batch that is sorted by file."""
    values = numbers.to_numpy()
    if len(values) == 0:
        return
    cuts = [0, *(numpy.flatnonzero(numpy.diff(values)) + 1).tolist(), len(values)]
    for start, stop in zip(cuts, cuts[1:]):
        yield int(values[start]), start, stop


def stage_plan(
    spark: SparkSession,
    plan: dict,
    rows: Rows,
    shuffle_bytes: int = SHUFFLE_BYTES,
    check: Callable[[], None] = lambda: None,
) -> dict:
    """Stages the files of a plan and gives how many it staged and refused.

    Before each wave, each search and each seal it calls check, which ends it by raising.
    """
    rows = replace(rows, run=uuid.uuid4().hex)
    spark = spark.newSession()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH_ROWS)
    sizes = [file["Object"]["Size"] for file in plan["files"]]
    small = [n for n, size in enumerate(sizes) if size <= shuffle_bytes]
    large = [n for n, size in enumerate(sizes) if size > shuffle_bytes]
    total = {"staged": 0, "refused": 0}
    for stage, numbers in ((_stage_in_place, small), (_stage_by_ranges, large)):
        for wave in _waves(numbers, sizes):
            check()
            parts = stage(spark, rows, wave)
            if plan.get("snapshot") and rows.searches():
                for part in parts.values():
                    if part["ranges"]:
                        check()
                        part["found"] = _search(spark, rows, part, len(plan["snapshot"]["files"]))
            check()
            sealed = rows.seal([parts[n] for n in wave])
            print(f"{plan['stage']}: files {wave} are at their end: {sealed}")
            total = {what: total[what] + sealed[what] for what in total}
    return total


def _search(spark: SparkSession, rows: Rows, part: dict, files: int) -> list[dict]:
    """Finds the rows of the table that a file changes, on all cores."""
    shares = max(1, min(files, spark.sparkContext.defaultParallelism))
    found = spark.range(0, shares, 1, shares).mapInArrow(rows.search(part, shares), FOUND)
    return [json.loads(row.document) for row in found.collect()]


def _waves(numbers: list[int], sizes: list[int]):
    """Divides files so that each wave fits the disks of the cluster."""
    wave, total = [], 0
    for number in numbers:
        if wave and total + sizes[number] > WAVE_BYTES:
            yield wave
            wave, total = [], 0
        wave.append(number)
        total += sizes[number]
    if wave:
        yield wave


def _read(spark: SparkSession, rows: Rows, numbers: list[int]) -> DataFrame:
    """The changes of files, one file in each partition."""
    files = spark.range(0, len(numbers), 1, len(numbers))
    return files.mapInArrow(rows.read(numbers), CHANGES)


def _stage_in_place(spark: SparkSession, rows: Rows, numbers: list[int]) -> dict[int, dict]:
    """Sorts each file where it was read: there is no shuffle."""
    changes = _read(spark, rows, numbers).sortWithinPartitions("file", "place")
    return {row.file: json.loads(row.document) for row in changes.mapInArrow(rows.stage({}), PARTS).collect()}


def _stage_by_ranges(spark: SparkSession, rows: Rows, numbers: list[int]) -> dict[int, dict]:
    """Spreads the ranges of keys over the cluster and sorts each there."""
    changes = _read(spark, rows, numbers).persist(StorageLevel.DISK_ONLY)
    try:
        told = changes.where(f.length("place") == 0).select("file", "data").collect()
        summaries = {row.file: bytes(row.data) for row in told}
        parts, bounds = {}, {}
        for number, summary in summaries.items():
            document = json.loads(summary)
            parts[number] = {"file": number, "summary": document, "ranges": []}
            if "reading" in document:
                bounds[number] = document["reading"]["bounds"]
        if bounds:
            ranges = sum(len(each) + 1 for each in bounds.values())
            spread = (
                changes.where((f.length("place") > 0) & f.col("file").isin(list(bounds)))
                .withColumn("range", _range_of(bounds))
                .repartitionByRange(ranges, "file", "range")
                .select("file", "place", "data")
                .sortWithinPartitions("file", "place")
            )
            for row in spread.mapInArrow(rows.stage(summaries), PARTS).collect():
                parts[row.file]["ranges"] += json.loads(row.document)["ranges"]
        return parts
    finally:
        changes.unpersist()


def _range_of(bounds: dict[int, list[str]]) -> Column:
    """Which range of its file a place lies in, by a search over the bounds."""

    def search(keys: list[bytes], first: int) -> Column:
        if not keys:
            return f.lit(first)
        middle = len(keys) // 2
        below = search(keys[:middle], first)
        above = search(keys[middle + 1:], first + middle + 1)
        return f.when(f.col("place") < f.lit(keys[middle]), below).otherwise(above)

    chosen = f  # when() of the module begins what when() of a column goes on with
    for number, encoded in bounds.items():
        keys = [bytearray(base64.b64decode(key)) for key in encoded]
        chosen = chosen.when(f.col("file") == number, search(keys, 0))
    return chosen


def read_document(uri: str) -> bytes:
    """A small document of a folder or of S3."""
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        with open(unquote(parsed.path), "rb") as file:
            return file.read()
    if parsed.scheme != "s3":
        raise ValueError(f"{uri} is neither file:// nor s3://")
    import boto3  # Glue has it; one machine needs none

    key = unquote(parsed.path.removeprefix("/"))
    return boto3.client("s3").get_object(Bucket=parsed.netloc, Key=key)["Body"].read()


def load_plan(uri: str, stage: str) -> tuple[bytes, dict]:
    """The plan, if it is the one that the dispatcher meant."""
    data = read_document(uri)
    plan = json.loads(data)
    if stage != plan["stage"]:
        raise ValueError(f"{uri} is the plan of {plan['stage']}, not of {stage}")
    return data, plan


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blotter_positions", default="", help="the program for positions, likewise")
    for name, help in (
        ("--blotter_plan", "where the plan lies"),
        ("--blotter_stage", "whose plan it is: the folder of its output"),
        ("--blotter_rows", "the program for rows, on S3 or in a folder"),
    ):
        parser.add_argument(name, required=True, help=help)
    arguments, _ = parser.parse_known_args(argv)  # Glue adds its own
    data, plan = load_plan(arguments.blotter_plan, arguments.blotter_stage)
    context = SparkContext.getOrCreate()
    shipped = []
    for program in (arguments.blotter_rows, arguments.blotter_positions):
        if program:
            context.addFile(program)
        shipped.append(program.rsplit("/", 1)[-1])
    rows = Rows(data, shipped=shipped[0], shipped_positions=shipped[1])
    sealed = stage_plan(SparkSession(context), plan, rows)
    print(f"{plan['stage']}: {sealed['staged']} files staged, {sealed['refused']} refused")


if __name__ == "__main__":
    main(sys.argv[1:])
