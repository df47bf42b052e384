"""`make faults` and `make soak`."""

import random
import sys

import typer

from tests.faults import nameserver
from tests.matrix import document, priority
from tests.matrix.stage import staged
from tests.matrix.table import line, tell, try_all
from tests.matrix.verdict import Verdict, verdict
from tests.system.servers import program


# How many random faults there are.
FAULTS, SOAK = 60, 500

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def demand() -> None:
    """Break real servers, and see what the service says."""
    missing = [name for name in ("postgres", "redis-server", "pgbouncer") if not program(name)]
    if missing or nameserver.unavailable() or priority.unavailable():
        tell("*** NOTHING IS BROKEN HERE: that takes Linux, root and `make system-servers` ***")
        raise typer.Exit


@cli.command()
def faults(words: str = "", seed: str = "") -> None:
    """Try the rows whose names hold these words; all of them, and random ones, without any."""
    outcomes = try_all(words)
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    failed = bool(wrong)
    if not words:
        random_ones = weather(FAULTS, seed)
        failed = failed or bool(random_ones.problems)
        if not failed:
            document.write(outcomes, random_ones.lies, FAULTS)
    # Once more: what is seen of a long log is often its end.
    for outcome in wrong:
        tell(line(outcome))
    sys.exit(failed)


@cli.command()
def soak(seed: str = "") -> None:
    """Let a fault happen each second for ten minutes."""
    sys.exit(bool(weather(SOAK, seed).problems))


def weather(count: int, seed: str) -> Verdict:
    """Let so many random faults happen, on servers of their own."""
    with staged() as stage:
        return verdict(stage, count, seed or f"{random.randrange(10**6)}")


if __name__ == "__main__":
    cli()
