"""Judges the service under chaos: inaccuracies that last too long, and leaked resources."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.chaos import postgres
from tests.chaos.held import SETTLE, ResourceUsage, find_leaks, peak_usage
from tests.chaos.load import Load
from tests.chaos.stage import CHECKS, Environment
from tests.chaos.storm import Inaccuracy, cause_chaos, check_path
from tests.chaos.table import show
from tests.chaos.watched import SERVICE_APP, run_service_and_control


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
        run_service_and_control(environment, postgres.BY_NAME, command) as (service, control),
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
