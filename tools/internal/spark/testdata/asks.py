"""Whether a plan is left where it is told to stop: before each wave, search and seal.

What Spark and the programs do is only written down.
"""

import io
import json
from unittest import mock

import blotter_job
import session

PLAN = {
    "stage": "s/",
    "files": [{"Object": {"Size": size}} for size in (6, 6, 1)],
    "snapshot": {"files": ["one", "two"]},
}
WHOLE = [
    "stage [2]", "search 2", "seal [2]",
    "stage [0]", "search 0", "seal [0]",
    "stage [1]", "search 1", "seal [1]",
]


class Rows(blotter_job.Rows):
    """Seals by writing it down."""

    done: list[str] = []

    def searches(self) -> bool:
        return True

    def seal(self, parts: list[dict]) -> dict:
        self.done.append(f"seal {[part['file'] for part in parts]}")
        return {"staged": len(parts), "refused": 0}


def stage(spark, rows, wave: list[int]) -> dict[int, dict]:
    rows.done.append(f"stage {wave}")
    return {number: {"file": number, "ranges": ["all"]} for number in wave}


def search(spark, rows, part: dict, files: int) -> list[dict]:
    rows.done.append(f"search {part['file']}")
    return []


class Stop(Exception):
    pass


def leaves_when_told() -> None:
    for most in range(len(WHOLE) + 1):
        Rows.done, asked = [], []

        def check() -> None:
            asked.append(len(Rows.done))
            if len(Rows.done) == most:
                raise Stop

        try:
            blotter_job.stage_plan(mock.Mock(), PLAN, Rows(b""), 5, check)
        except Stop:
            assert most < len(WHOLE), f"stopped after all of {Rows.done}"
        else:
            assert most == len(WHOLE), f"went on after {most} steps: {Rows.done}"
        assert Rows.done == WHOLE[:most], Rows.done
        assert asked == list(range(min(most + 1, len(WHOLE)))), asked


def session_cancels() -> None:
    """A cancel that comes after a wave was staged, when Spark has no job to cancel."""
    answers = io.StringIO()
    spark = mock.Mock()
    one = session.Session(spark, ("rows",), (), 5, answers)
    Rows.done = []

    def staged(spark, rows, wave):
        if wave == [0]:
            one.take({"cancel": 7})
        return stage(spark, rows, wave)

    with mock.patch.multiple(blotter_job, _stage_by_ranges=staged, load_plan=lambda *_: (b"", PLAN)):
        one._run({"run": 7, "plan": "file:///plan", "stage": "s/"})
        told = json.loads(answers.getvalue())
        assert told["run"] == 7 and told["error"].endswith("cancelled"), told
        assert Rows.done == WHOLE[:4], Rows.done
        one._run({"run": 8, "plan": "file:///plan", "stage": "s/"})  # another is its own
    assert json.loads(answers.getvalue().splitlines()[1]) == {"run": 8}, answers.getvalue()


with mock.patch.multiple(
    blotter_job, WAVE_BYTES=10, Rows=Rows, _stage_in_place=stage, _stage_by_ranges=stage, _search=search
):
    leaves_when_told()
    session_cancels()
