"""Whether the judges of `make faults` and `make soak` see what they are there for."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.nameserver import unavailable
from tests.matrix import http
from tests.matrix.load import Load
from tests.matrix.stage import Stage, staged
from tests.matrix.trial import Trial
from tests.matrix.verdict import verdict
from tests.matrix.watched import watched


if reason := unavailable():
    pytest.skip(f"*** THE JUDGES ARE NOT JUDGED: {reason} ***", allow_module_level=True)

SUBJECT = sys.executable, "-m", "tests.matrix.mutants"
HELD = (
    *("tasks", "threads", "descriptors", "sockets"),
    *("sessions of PostgreSQL", "sessions of Redis", "memory"),
)


@pytest.fixture(name="stage", scope="module")
def _stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.mark.parametrize(
    ("mutant", "seen"),
    [
        ("honest", []),
        ("keeps green", ["too long a lie"]),
        ("keeps red", ["too long a lie"]),
        ("leaks", [f"more than before: {name}" for name in HELD]),
    ],
)
def test_what_is_wrong_is_seen_and_nothing_else(stage: Stage, mutant: str, seen: list[str]) -> None:
    """An honest service, one that turns two seconds late either way, and one that leaks."""
    problems = verdict(stage, 9, "1", warming=3, subject=(*SUBJECT, mutant)).problems
    assert list(dict.fromkeys(problem.split(": Lie")[0] for problem in problems)) == seen


@pytest.mark.parametrize(
    ("mutant", "seen"),
    [("honest", []), ("keeps green", ["red"]), ("keeps red", ["green after"])],
)
def test_a_row_is_not_passed_by_a_service_that_is_late(
    stage: Stage, mutant: str, seen: list[str]
) -> None:
    """The same services, in a trial of one row."""
    refused = next(row for row in http.ROWS if row.name == "refused")
    with (
        watched(stage, refused.scene, (*SUBJECT, mutant)) as (service, twin),
        Load(service, twin) as load,
    ):
        problems = Trial(refused, service, load).run(stage).problems
    assert len(problems) == len(seen)
    assert all(words in problem for words, problem in zip(seen, problems, strict=True))
