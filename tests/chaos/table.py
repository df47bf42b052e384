"""Runs the rows of the fault matrix."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Protocol, TypeVar

from tests.chaos import http, postgres, redis
from tests.chaos.load import Load
from tests.chaos.row import Row
from tests.chaos.stage import create_environment
from tests.chaos.trial import REST, Outcome, Trial
from tests.chaos.watched import run_control, run_service


# The rows of each dependency, in the order of the report.
TABLES = (postgres.ROWS, redis.ROWS, http.ROWS)

# Times that a row runs if only latency exceeded its limit. A delay that a fault causes occurs each
# time. One that the machine causes now and then does not occur twice in the same row.
TRIES = 2


class Result(Protocol):
    """A result that may have to be repeated."""

    @property
    def is_conclusive(self) -> bool:
        """Return whether it counts."""


ResultT = TypeVar("ResultT", bound=Result)


def run_rows(rows: Sequence[Row], words: str = "") -> list[Outcome]:
    """Run the rows whose check and name contain *words* one by one, and return the outcomes."""
    rows = [row for row in rows if words in f"{row.check} {row.name}"]
    if not rows:
        return []
    outcomes: list[Outcome] = []
    with create_environment() as environment, run_control(environment) as control:
        for setup, group in groupby(rows, key=lambda row: row.setup):
            with (
                setup.prepare(environment),
                run_service(environment, setup) as service,
                Load(service, control) as load,
            ):
                # The first answers of a new service take longer than those of the control.
                time.sleep(REST)
                for row in group:
                    attempt = partial(Trial(row, service, load).run, environment)
                    outcomes.append(repeat_inconclusive(attempt, TRIES))
    return outcomes


def repeat_inconclusive(attempt: Callable[[], ResultT], tries: int) -> ResultT:
    """Attempt until a result is conclusive, but at most *tries* times; print each result."""
    for _ in range(tries):
        result = attempt()
        show(f"{result}")
        if result.is_conclusive:
            break
    return result


def show(text: str) -> None:
    """Print and flush."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
