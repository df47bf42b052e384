"""Runs the rows of the fault matrix one by one."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby

from tests.chaos import http, postgres, redis
from tests.chaos.load import Load
from tests.chaos.row import Row, Setup
from tests.chaos.stage import Environment, create_environment
from tests.chaos.trial import Outcome, Trial
from tests.chaos.watched import run_service_and_control


ROWS = (*postgres.ROWS, *redis.ROWS, *http.ROWS)


def run_rows(words: str = "") -> list[Outcome]:
    """Run every row whose check and name contain *words*, and return the outcomes.

    Rows don't run in parallel: on a slow machine the service and the load generator, which have
    priority, would leave repaired servers too little CPU to answer in time.
    """
    rows = [row for row in ROWS if words in f"{row.check} {row.name}"]
    with create_environment() as environment:
        setups = groupby(rows, key=lambda row: row.setup)
        return [
            outcome for setup, group in setups for outcome in _run_group(environment, setup, group)
        ]


def _run_group(environment: Environment, setup: Setup, rows: Iterator[Row]) -> Iterator[Outcome]:
    """Run the rows of one setup with one service."""
    with (
        setup.prepare(environment),
        run_service_and_control(environment, setup) as (service, control),
        Load(service, control) as load,
    ):

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
