"""One long-lived local Spark, for jobs of one machine.

    session.py [--cores N] [--scratch FOLDER] [--shuffle-bytes N] [--positions JSON] -- ROWS...

ROWS is the command of the program for rows, JSON a list with that of the program for
positions. Requests come on standard input, one
JSON object a line; answers go to standard output likewise, in any order:

    {"run": 7, "plan": URI, "stage": FOLDER}  ->  {"run": 7} once it is at its end,
                                                  {"run": 7, "error": TEXT} if it failed,
                                                  with "machine": true if no file is at fault
    {"cancel": 7}                             ->  the run's own answer comes early

{"ready": true} is the first answer. The end of the input ends the session.
"""

import argparse
import json
import os
import re
import sys
import threading

from pyspark import InheritableThread
from pyspark.sql import SparkSession

import blotter_job


class Session:
    """Runs plans, each in its own thread and job group."""

    def __init__(
        self, spark: SparkSession, rows: tuple[str, ...], positions: tuple[str, ...], shuffle_bytes: int, answers
    ):
        self._spark = spark
        self._rows = rows
        self._positions = positions
        self._shuffle_bytes = shuffle_bytes
        self._answers = answers
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()

    def answer(self, **document) -> None:
        with self._lock:
            self._answers.write(json.dumps(document) + "\n")
            self._answers.flush()

    def take(self, request: dict) -> None:
        if "cancel" in request:
            self._cancelled.add(request["cancel"])
            self._spark.sparkContext.cancelJobGroup(str(request["cancel"]))
            return
        InheritableThread(target=self._run, args=(request,), daemon=True).start()

    def _check(self, number: int) -> None:
        """Ends a run that was cancelled where Spark did not: between two jobs of it."""
        if number in self._cancelled:
            raise RuntimeError("cancelled")

    def _run(self, request: dict) -> None:
        number = request["run"]
        try:
            self._spark.sparkContext.setJobGroup(str(number), request["stage"], True)
            data, plan = blotter_job.load_plan(request["plan"], request["stage"])
            rows = blotter_job.Rows(data, command=self._rows, positions=self._positions)
            blotter_job.stage_plan(self._spark, plan, rows, self._shuffle_bytes, lambda: self._check(number))
        except Exception as fault:  # whatever it is, its run ends and says so
            text, machine = told(fault)
            self.answer(run=number, error=text, machine=machine)
        else:
            self.answer(run=number)
        finally:
            self._cancelled.discard(number)


# How a trace of Python ends: the type of what was raised, and the number of an OSError.
_RAISED = re.compile(r"([A-Za-z_][\w.]*)(?:$|: (?:\[Errno (\d+)\])?)")


def told(fault: Exception) -> tuple[str, bool]:
    """What a person wants to know of a fault, which Spark tells with a page of traces, and
    whether it is the machine's. What a task raised is told by its type alone: its text
    may quote a row.
    """
    lines = str(fault).splitlines()
    for line in lines:
        for name, machine in (("StartError: ", True), ("RowsError: ", False)):
            if name in line:
                return line.split(name, 1)[1].strip(), machine
    raised = None
    for line in lines:
        if line.rstrip().endswith("Traceback (most recent call last):"):
            raised = ""
        elif raised == "" and line.strip() and not line[0].isspace():
            raised = line.strip()
    if raised and (match := _RAISED.match(raised)):
        why = f": {os.strerror(int(match[2]))}" if match[2] else ""
        return f"a task raised {match[1]}{why}", False
    first = next((line.strip() for line in lines if line.strip()), "")
    return f"{type(fault).__name__}: {first}", False


def build(arguments: argparse.Namespace) -> SparkSession:
    """Spark on this machine alone; it listens on the loopback only."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))  # tasks import the job
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        # Rows are worked on elsewhere: what the JVM compiles is mostly its own start.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.python.daemon.module": "workers",
        "spark.scheduler.mode": "FAIR",
        "spark.sql.adaptive.enabled": "false",
    }
    if arguments.scratch:
        settings["spark.local.dir"] = arguments.scratch
    builder = SparkSession.builder.master(f"local[{arguments.cores}]").appName("blotter")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--scratch", default="")
    parser.add_argument("--shuffle-bytes", type=int, default=blotter_job.SHUFFLE_BYTES)
    parser.add_argument("--positions", type=json.loads, default=[])
    parser.add_argument("rows", nargs="+")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Spark prints is no answer
    spark = build(arguments)
    session = Session(spark, tuple(arguments.rows), tuple(arguments.positions), arguments.shuffle_bytes, answers)
    session.answer(ready=True)
    for line in sys.stdin:
        session.take(json.loads(line))
    spark.stop()


if __name__ == "__main__":
    main()
