"""Judges the service under chaos: inaccuracies that last too long, and leaked resources."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.chaos import postgres
from tests.chaos.held import SETTLE, ResourceUsage, find_leaks, peak_usage
from tests.chaos.load import Load
from tests.chaos.stage import CHECKS, Environment, create_environment
from tests.chaos.storm import Inaccuracy, cause_chaos, check_path
from tests.chaos.table import show
from tests.chaos.watched import SERVICE_APP, run_control, run_service
from tests.system.store_storms import STORMS


# Number of faults before the first measurement of the resources.
WARMUP = 15

# Share of the time for which the machine may stall before a clean run proves nothing, and how often
# such a run is repeated.
STALLED, TRIES = 0.1, 3


@dataclass(frozen=True, slots=True)
class ChaosResult:
    """Result of a number of random faults.

    Attributes:
        inaccuracies: the worst first.
        before: peak usage of the service after the warm-up.
        after: usage at the end.
        leaks: names of the resources whose usage grew.
        stalled: share of the time for which the machine stalled.
    """

    inaccuracies: Sequence[Inaccuracy]
    before: ResourceUsage
    after: ResourceUsage
    leaks: Sequence[str]
    stalled: float

    @property
    def found(self) -> list[str]:
        """Broken guarantees."""
        return [
            *(f"wrong for too long: {one}" for one in self.inaccuracies if one.seconds > one.bound),
            *(f"leaked: {name}" for name in self.leaks),
        ]

    @property
    def inconclusive(self) -> bool:
        """Return whether nothing was found, but the machine stalled for too long to trust it."""
        return not self.found and self.stalled > STALLED

    @property
    def problems(self) -> list[str]:
        """Broken guarantees, or the reason why there may be some."""
        if self.inconclusive:
            return ["the machine stalled for too long to prove anything"]
        return self.found

    def show(self) -> None:
        """Print the worst inaccuracies, the resource usage, and the problems."""
        for one in self.inaccuracies[:5]:
            show(f"wrong: {one.seconds:.2f} s of {one.bound:.2f}: {one.state}")
        show(f"usage before: {self.before}\nusage now: {self.after}")
        show(f"machine stalled: {self.stalled:.1%} of the time")
        for problem in self.problems:
            show(f"  *** {problem}")


def run_random_faults(count: int, seed: str) -> ChaosResult:
    """Cause *count* random faults in a new environment."""
    with create_environment() as environment:
        return judge_chaos(environment, count, seed or f"{random.randrange(10**6)}")


def run_storms(seed: str) -> list[float]:
    """Return for how many seconds the check of each store contradicts a client."""
    return asyncio.run(_run_storms(seed))


async def _run_storms(seed: str) -> list[float]:
    # At the same time: they wait most of the time, for faults to begin and to end.
    witnesses = await asyncio.gather(*(storm.run(seed) for storm in STORMS))
    for storm, witness in zip(STORMS, witnesses, strict=True):
        assert witness.outage > storm.limit, "a check that is always green would not be found"
        assert witness.results[True], "every write failed"
        disagreed = f"check and client disagreed for {witness.longest:.2f} of {storm.limit:.1f} s"
        show(f"{storm.name}: {disagreed}; writes passed and failed: {witness.results}")
    return [witness.longest for witness in witnesses]


def judge_chaos(
    environment: Environment,
    count: int,
    seed: str,
    *,
    warmup: int = WARMUP,
    command: Sequence[str] = SERVICE_APP,
) -> ChaosResult:
    """Cause *count* random faults, and judge the answers and the resource usage of the service."""
    return retry_inconclusive(partial(_attempt, environment, count, seed, warmup, command))


def retry_inconclusive(attempt: Callable[[], ChaosResult]) -> ChaosResult:
    """Attempt up to TRIES times, until a result is conclusive; print each result."""
    for _ in range(TRIES):
        result = attempt()
        result.show()
        if not result.inconclusive:
            break
    return result


def _attempt(
    environment: Environment, count: int, seed: str, warmup: int, command: Sequence[str]
) -> ChaosResult:
    show(f"{count} random faults, seed {seed}")
    with (
        run_control(environment) as control,
        run_service(environment, postgres.BY_NAME, command) as service,
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
    inaccuracies.sort(key=lambda one: one.seconds - one.bound, reverse=True)
    return ChaosResult(inaccuracies, before, after, leaks, stalled)
