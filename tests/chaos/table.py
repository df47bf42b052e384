"""Runs the rows of the fault matrix."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby

from tests.chaos import http, postgres, redis
from tests.chaos.load import Load
from tests.chaos.row import Row, Setup
from tests.chaos.stage import Environment, create_environment
from tests.chaos.trial import REST, Outcome, Trial
from tests.chaos.watched import run_control, run_service
from tests.support.service import Service


# The rows of each dependency, in the order of the report.
TABLES = (postgres.ROWS, redis.ROWS, http.ROWS)


def run_rows(rows: Sequence[Row], words: str = "") -> list[Outcome]:
    """Run the rows whose check and name contain *words* one by one, and return the outcomes."""
    rows = [row for row in rows if words in f"{row.check} {row.name}"]
    if not rows:
        return []
    with create_environment() as environment, run_control(environment) as control:
        setups = groupby(rows, key=lambda row: row.setup)
        return [
            outcome
            for setup, group in setups
            for outcome in _run_group(environment, setup, group, control)
        ]


def _run_group(
    environment: Environment, setup: Setup, rows: Iterable[Row], control: Service
) -> Iterator[Outcome]:
    """Run the rows of one setup with one service."""
    with (
        setup.prepare(environment),
        run_service(environment, setup) as service,
        Load(service, control) as load,
    ):
        # The first answers of a new service take longer than those of the control.
        time.sleep(REST)

        def attempt(row: Row) -> Outcome:
            return Trial(row, service, load).run(environment)

        for row in rows:
            yield run_with_retry(partial(attempt, row))


def run_with_retry(attempt: Callable[[], Outcome]) -> Outcome:
    """Run a row and print its outcome. If only latency exceeded its limit, run it again.

    A delay that a fault causes occurs each time. The machine now and then causes a delay that
    neither the control nor a stall detector sees, but not twice in the same row.
    """
    outcome = attempt()
    show(summarize(outcome))
    if outcome.late and not outcome.problems:
        outcome = attempt()
        show(summarize(outcome))
    return outcome


def show(text: str) -> None:
    """Print and flush."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def summarize(outcome: Outcome) -> str:
    """Return one line about an outcome, followed by a line for each failure."""
    row = outcome.row
    figures = {name: getattr(outcome, name) for name in ("red", "green", "live", "stalled")}
    times = "  ".join(f"{name} {seconds:.2f}" for name, seconds in figures.items() if seconds)
    failures = "".join(f"\n  *** {failure}" for failure in outcome.failures)
    transitions = "".join(f"\n      {line}" for line in outcome.transitions)
    return f"{row.check}: {row.name}: {row.reason or 'serves'}  {times}{failures}{transitions}"
