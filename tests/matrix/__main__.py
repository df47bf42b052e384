"""`make faults` and `make soak`."""

import random
import sys

import typer

from tests.faults.nameserver import unavailable
from tests.matrix import document, postgres
from tests.matrix.held import grown, held
from tests.matrix.load import Load
from tests.matrix.stage import CHECKS, staged
from tests.matrix.storm import Lie, path, storm
from tests.matrix.table import tell, try_all
from tests.matrix.watched import watched
from tests.system.servers import program


# How many random faults there are, and how many come before what is held is first counted.
FAULTS, SOAK, WARMING = 60, 500, 15

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.callback()
def demand() -> None:
    """Break real servers, and see what the service says."""
    missing = [name for name in ("postgres", "redis-server", "pgbouncer") if not program(name)]
    if missing or unavailable():
        sys.exit("*** NOTHING IS BROKEN HERE: that takes Linux, root and `make system-servers` ***")


@cli.command()
def faults(words: str = "", seed: str = "") -> None:
    """Try the rows whose names hold these words; all of them, and random ones, without any."""
    outcomes = try_all(words)
    failed = any(outcome.problems for outcome in outcomes)
    if not words:
        lies, problems = weather(FAULTS, seed)
        failed = failed or bool(problems)
        if not failed:
            document.write(outcomes, lies, FAULTS)
    sys.exit(failed)


@cli.command()
def soak(seed: str = "") -> None:
    """Let a fault happen each second for ten minutes."""
    sys.exit(bool(weather(SOAK, seed)[1]))


def weather(count: int, seed: str) -> tuple[list[Lie], list[str]]:
    """Let so many random faults happen; tell the lies, and what was not as it was promised."""
    seed = seed or f"{random.randrange(10**6)}"
    tell(f"{count} random faults, seed {seed}")
    with (
        staged() as stage,
        watched(stage, postgres.NAMED) as (service, twin),
        Load(service, twin, *map(path, CHECKS)) as load,
    ):
        lies = storm(stage, load, WARMING, f"{seed} warming")
        before = held(service, stage)
        lies += storm(stage, load, count - WARMING, seed)
        now, more = grown(before, service, stage)
    lies.sort(key=lambda lie: lie.seconds, reverse=True)
    for lie in lies[:5]:
        tell(f"lie: {lie.seconds:.2f} s of {lie.bound:.2f}: {lie.told}")
    tell(f"held before: {before}\nheld now: {now}")
    problems = [f"too long a lie: {lie}" for lie in lies if lie.seconds > lie.bound]
    problems += [f"more than before: {name}" for name in more]
    for problem in problems:
        tell(f"  *** {problem}")
    return lies, problems


if __name__ == "__main__":
    cli()
