"""Whether the judges of `make faults` and `make soak` see what they are there for."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.nameserver import unavailable
from tests.matrix.stage import Stage, staged
from tests.matrix.verdict import verdict


if reason := unavailable():
    pytest.skip(f"*** THE JUDGES ARE NOT JUDGED: {reason} ***", allow_module_level=True)

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
    """An honest service, one that turns three seconds late either way, and one that leaks."""
    subject = sys.executable, "-m", "tests.matrix.mutants", mutant
    problems = verdict(stage, 15, "1", warming=3, subject=subject).problems
    assert list(dict.fromkeys(problem.split(": Lie")[0] for problem in problems)) == seen
