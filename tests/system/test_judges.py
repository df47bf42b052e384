"""Tests that `make faults` and `make soak` detect defects of the service."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from tests.chaos import http, postgres
from tests.chaos.load import Load
from tests.chaos.priority import come_first
from tests.chaos.row import Setup
from tests.chaos.stage import Environment, create_environment
from tests.chaos.trial import Trial
from tests.chaos.verdict import judge_chaos
from tests.chaos.watched import run_control, run_service
from tests.support.faults.nameserver import unavailable


pytestmark = pytest.mark.waits

if reason := unavailable():
    pytest.skip(f"*** THE FAULT TESTS ARE NOT TESTED: {reason} ***", allow_module_level=True)

LEAKING_SERVICE = sys.executable, "-m", "tests.chaos.leaks"
# Eleven results, five a second, delay a transition by two seconds: more than any limit, and little
# enough that a trial still waits for it, as it would report a transition that never comes, too.
LATE_FAILURE, LATE_RECOVERY = {"FAILURE_THRESHOLD": "11"}, {"SUCCESS_THRESHOLD": "11"}
RESOURCES = (
    *("tasks", "threads", "descriptors", "sockets"),
    *("sessions of PostgreSQL", "sessions of Redis", "memory"),
)


@pytest.fixture(name="environment", scope="module")
def _environment() -> Iterator[Environment]:
    come_first()
    with create_environment() as environment:
        yield environment


def with_settings(setup: Setup, settings: Mapping[str, str]) -> Setup:
    """Return a setup with further settings."""
    return replace(setup, environ=lambda where: {**setup.environ(where), **settings})


@pytest.mark.parametrize(
    ("settings", "count"), [(LATE_FAILURE, 9), (LATE_RECOVERY, 4)], ids=["failure", "recovery"]
)
def test_chaos_detects_late_transitions_and_nothing_else(
    environment: Environment, settings: Mapping[str, str], count: int
) -> None:
    """`make faults` runs without a defect."""
    setup = with_settings(postgres.BY_NAME, settings)
    problems = judge_chaos(environment, count, "1", warmup=3, setup=setup).problems
    assert problems
    assert all(one.startswith("wrong for too long") for one in problems)


def test_chaos_detects_each_leak_and_nothing_else(environment: Environment) -> None:
    """The service leaks at each failure."""
    result = judge_chaos(environment, 9, "1", warmup=3, command=LEAKING_SERVICE)
    assert result.problems == [f"leaked: {name}" for name in RESOURCES]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, []), (LATE_FAILURE, ["red"]), (LATE_RECOVERY, ["green after"])],
    ids=["none", "failure", "recovery"],
)
def test_a_row_fails_if_the_service_is_late(
    environment: Environment, settings: Mapping[str, str], expected: list[str]
) -> None:
    """The same defects in a single row."""
    refused = next(row for row in http.ROWS if row.name == "refused")
    with (
        run_control(environment) as control,
        run_service(environment, with_settings(refused.setup, settings)) as service,
        Load(service, control) as load,
    ):
        problems = Trial(refused, service, load).run(environment).problems
    assert len(problems) == len(expected)
    assert all(words in problem for words, problem in zip(expected, problems, strict=True))
