"""`make faults` and `make soak`."""

import asyncio
import random
import sys

import typer

from tests.chaos import document, priority
from tests.chaos.stage import create_environment
from tests.chaos.table import run_rows, show, summarize
from tests.chaos.verdict import ChaosResult, judge_chaos
from tests.support.faults import nameserver
from tests.system.servers import program
from tests.system.store_storms import STORMS


# Number of random faults.
FAULTS, SOAK = 60, 500

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def require_programs() -> None:
    """Break real servers, and check what the service reports."""
    missing = [name for name in ("postgres", "redis-server", "pgbouncer") if not program(name)]
    if missing or nameserver.unavailable() or priority.unavailable():
        show("*** FAULT TESTS SKIPPED: they need Linux, root and `make system-servers` ***")
        raise typer.Exit


@cli.command()
def faults(words: str = "", seed: str = "") -> None:
    """Run the rows whose names contain WORDS. Without WORDS, run all rows and random faults."""
    outcomes = run_rows(words)
    failed_rows = [outcome for outcome in outcomes if outcome.failures]
    failed = bool(failed_rows)
    if not words:
        chaos = run_random_faults(FAULTS, seed)
        lies = dict(zip(STORMS, asyncio.run(run_storms(seed)), strict=True))
        too_long = [storm for storm, seconds in lies.items() if seconds > storm.limit]
        failed = failed or bool(chaos.problems or too_long)
        if not failed:
            document.write(outcomes, chaos.inaccuracies, FAULTS, lies)
    # Repeat the failures at the end, because a long log is often read from its end.
    for outcome in failed_rows:
        show(summarize(outcome))
    sys.exit(failed)


@cli.command()
def soak(seed: str = "") -> None:
    """Cause about one random fault a second for ten minutes."""
    sys.exit(bool(run_random_faults(SOAK, seed).problems))


def run_random_faults(count: int, seed: str) -> ChaosResult:
    """Cause *count* random faults in a new environment."""
    with create_environment() as environment:
        return judge_chaos(environment, count, seed or f"{random.randrange(10**6)}")


async def run_storms(seed: str) -> list[float]:
    """Return for how many seconds the check of each store contradicts a client."""
    # At the same time: they wait most of the time, for faults to begin and to end.
    witnesses = await asyncio.gather(*(storm.run(seed) for storm in STORMS))
    for storm, witness in zip(STORMS, witnesses, strict=True):
        assert witness.outage > storm.limit, "a check that is always green would not be found"
        assert witness.results[True], "every write failed"
        disagreed = f"check and client disagreed for {witness.longest:.2f} of {storm.limit:.1f} s"
        show(f"{storm.name}: {disagreed}; writes passed and failed: {witness.results}")
    return [witness.longest for witness in witnesses]


if __name__ == "__main__":
    cli()
