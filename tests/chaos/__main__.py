"""`make faults` and `make soak`."""

import asyncio
import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import typer

from tests.chaos import document, priority
from tests.chaos.table import TABLES, run_rows, show
from tests.chaos.verdict import run_random_faults, run_storms
from tests.support.faults import nameserver
from tests.system.servers import program


# Number of random faults. docs/reliability.md states the first.
FAULTS, SOAK = 60, 500

# Number of environments that run at the same time. Each keeps almost half a CPU busy, so two leave
# repaired servers enough of a machine with two CPUs.
ENVIRONMENTS = 2

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def require_programs() -> None:
    """Break real servers, and check what the service reports."""
    missing = [name for name in ("postgres", "redis-server", "pgbouncer") if not program(name)]
    if missing or nameserver.unavailable() or priority.unavailable():
        show("*** FAULT TESTS SKIPPED: they need Linux, root and `make system-servers` ***")
        raise typer.Exit
    priority.come_first()
    # To collect what is imported, too, would take so long that proxies and servers answer late.
    gc.freeze()


@cli.command()
def faults(words: str = "", seed: str = "") -> None:
    """Run the rows whose names contain WORDS. Without WORDS, run all rows and random faults."""
    with ThreadPoolExecutor(ENVIRONMENTS) as threads:
        outcomes = [*chain.from_iterable(threads.map(run_rows, TABLES, repeat(words)))]
    failed_rows = [outcome for outcome in outcomes if outcome.failures]
    failed = bool(failed_rows)
    if not words:
        # At the same time: both have their own servers, and wait for most of the time.
        with ThreadPoolExecutor() as threads:
            storms = threads.submit(asyncio.run, run_storms(seed))
            chaos = run_random_faults(FAULTS, seed)
            lies = storms.result()
        too_long = any(seconds > storm.limit for storm, seconds in lies.items())
        failed = failed or too_long or bool(chaos.problems)
        if not failed:
            document.write(outcomes, max(one.seconds for one in chaos.inaccuracies), lies)
    # Repeat the failures at the end, because a long log is often read from its end.
    for outcome in failed_rows:
        show(f"{outcome}")
    sys.exit(failed)


@cli.command()
def soak(seed: str = "") -> None:
    """Cause about one random fault a second for ten minutes."""
    sys.exit(bool(run_random_faults(SOAK, seed).problems))


if __name__ == "__main__":
    cli()
