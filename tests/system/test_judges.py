"""Tests that `make faults` and `make soak` detect defects of the service."""

import sys
from collections.abc import Iterator

import pytest

from tests.chaos import http
from tests.chaos.load import Load
from tests.chaos.priority import come_first
from tests.chaos.stage import Environment, create_environment
from tests.chaos.trial import Trial
from tests.chaos.verdict import judge_chaos
from tests.chaos.watched import run_control, run_service
from tests.support.faults.nameserver import unavailable


pytestmark = pytest.mark.waits

if reason := unavailable():
    pytest.skip(f"*** THE FAULT TESTS ARE NOT TESTED: {reason} ***", allow_module_level=True)

DEFECTIVE_SERVICE = sys.executable, "-m", "tests.chaos.mutants"
RESOURCES = (
    *("tasks", "threads", "descriptors", "sockets"),
    *("sessions of PostgreSQL", "sessions of Redis", "memory"),
)


@pytest.fixture(name="environment", scope="module")
def _environment() -> Iterator[Environment]:
    come_first()
    with create_environment() as environment:
        yield environment


@pytest.mark.parametrize(
    ("defect", "count", "expected"),
    [
        ("late failure", 9, ["wrong for too long"]),
        ("late recovery", 4, ["wrong for too long"]),
        ("leaks", 9, [f"leaked: {name}" for name in RESOURCES]),
    ],
)
def test_chaos_detects_each_defect_and_nothing_else(
    environment: Environment, defect: str, count: int, expected: list[str]
) -> None:
    """Late transitions are late by two seconds. `make faults` runs without a defect."""
    command = (*DEFECTIVE_SERVICE, defect)
    problems = judge_chaos(environment, count, "1", warmup=3, command=command).problems
    assert list(dict.fromkeys(one.split(": Inaccuracy")[0] for one in problems)) == expected


@pytest.mark.parametrize(
    ("defect", "expected"),
    [("none", []), ("late failure", ["red"]), ("late recovery", ["green after"])],
)
def test_a_row_fails_if_the_service_is_late(
    environment: Environment, defect: str, expected: list[str]
) -> None:
    """The same defects in a single row."""
    refused = next(row for row in http.ROWS if row.name == "refused")
    command = (*DEFECTIVE_SERVICE, defect)
    with (
        run_control(environment) as control,
        run_service(environment, refused.setup, command) as service,
        Load(service, control) as load,
    ):
        problems = Trial(refused, service, load).run(environment).problems
    assert len(problems) == len(expected)
    assert all(words in problem for words, problem in zip(expected, problems, strict=True))
