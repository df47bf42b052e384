"""Judges the service under chaos: inaccuracies that last too long, and leaked resources."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos import postgres
from tests.chaos.held import SETTLE, find_leaks, peak_usage
from tests.chaos.load import Load
from tests.chaos.row import Setup
from tests.chaos.stage import CHECKS, Environment, create_environment
from tests.chaos.storm import Inaccuracy, cause_chaos, check_path
from tests.chaos.table import repeat_inconclusive, show
from tests.chaos.watched import SERVICE_APP, run_control, run_service
from tests.system.store_storms import STORMS, Storm


# Number of faults before the first measurement of the resources.
WARMUP = 15

# Share of the time for which the machine may stall before a clean run proves nothing, and how often
# such a run is attempted.
STALLED, TRIES = 0.1, 3
INCONCLUSIVE = "the machine stalled for too long to prove anything"


@dataclass(frozen=True, slots=True)
class ChaosResult:
    """Result of a number of random faults.

    Attributes:
        inaccuracies: the worst first.
        leaks: names of the resources whose usage grew.
        stalled: share of the time for which the machine stalled.
    """

    inaccuracies: Sequence[Inaccuracy]
    leaks: Sequence[str]
    stalled: float

    @property
    def problems(self) -> list[str]:
        """Broken guarantees, or the reason why there may be some."""
        wrong = [one for one in self.inaccuracies if one.seconds > one.bound]
        found = [f"wrong for too long: {one}" for one in wrong]
        found += [f"leaked: {name}" for name in self.leaks]
        return found or [INCONCLUSIVE] * (self.stalled > STALLED)

    @property
    def is_conclusive(self) -> bool:
        """Return whether something was found, or the machine stalled too little to hide it."""
        return self.problems != [INCONCLUSIVE]

    def __str__(self) -> str:
        """Describe the worst inaccuracies, and the problems."""
        worst = (
            f"wrong: {one.seconds:.2f} s of {one.bound:.2f}: {one.state}"
            for one in self.inaccuracies[:5]
        )
        problems = (f"  *** {problem}" for problem in self.problems)
        return "\n".join([*worst, f"machine stalled: {self.stalled:.1%} of the time", *problems])


async def run_storms(seed: str) -> dict[Storm, float]:
    """Return for how many seconds the check of each store contradicts a client."""
    # At the same time: they wait most of the time, for faults to begin and to end.
    witnesses = await asyncio.gather(*(storm.run(seed) for storm in STORMS))
    for storm, witness in zip(STORMS, witnesses, strict=True):
        assert witness.outage > storm.limit, "a check that is always green would not be found"
        assert witness.results[True], "every write failed"
        disagreed = f"check and client disagreed for {witness.longest:.2f} of {storm.limit:.1f} s"
        show(f"{storm.name}: {disagreed}; writes passed and failed: {witness.results}")
    return {one: witness.longest for one, witness in zip(STORMS, witnesses, strict=True)}


def run_random_faults(count: int, seed: str) -> ChaosResult:
    """Cause *count* random faults in a new environment."""
    with create_environment() as environment:
        return judge_chaos(environment, count, seed or f"{random.randrange(10**6)}")


def judge_chaos(
    environment: Environment,
    count: int,
    seed: str,
    *,
    warmup: int = WARMUP,
    setup: Setup = postgres.BY_NAME,
    command: Sequence[str] = SERVICE_APP,
) -> ChaosResult:
    """Cause *count* random faults, and judge the answers and the resource usage of the service."""

    def attempt() -> ChaosResult:
        show(f"{count} random faults, seed {seed}")
        with (
            run_control(environment) as control,
            run_service(environment, setup, command) as service,
            Load(service, control, *map(check_path, CHECKS)) as load,
        ):
            started = time.monotonic()
            inaccuracies = cause_chaos(environment, load, warmup, f"{seed} warming")
            time.sleep(SETTLE)
            before = peak_usage(service, environment)
            inaccuracies += cause_chaos(environment, load, count - warmup, seed)
            after, leaks = find_leaks(before, service, environment)
            ended = time.monotonic()
            stalled = load.stalled(started, ended) / (ended - started)
        show(f"usage before: {before}\nusage now: {after}")
        inaccuracies.sort(key=lambda one: one.seconds - one.bound, reverse=True)
        return ChaosResult(inaccuracies, leaks, stalled)

    return repeat_inconclusive(attempt, TRIES)
