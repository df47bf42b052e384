"""What random faults bring to light: lies that last too long, and what is left behind."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.matrix import postgres
from tests.matrix.held import LEFT, Held, grown, most_held
from tests.matrix.load import Load
from tests.matrix.stage import CHECKS, Stage
from tests.matrix.storm import Lie, path, storm
from tests.matrix.table import tell
from tests.matrix.watched import SUBJECT, watched


# How many faults come before what is held is first counted.
WARMING = 15

# Of the time, how much the machine may hold everybody up before nothing is shown by what was not
# seen; how often it is looked for then.
HELD_UP, TRIES = 0.1, 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What so many random faults came to.

    Attributes:
        lies: the worst first.
        before: the most that the service held after the first faults.
        after: what it held in the end.
        grown: what of it is more than before.
        held_up: the share of the time for which the machine held up the healthy twin.

    """

    lies: Sequence[Lie]
    before: Held
    after: Held
    grown: Sequence[str]
    held_up: float

    @property
    def seen(self) -> list[str]:
        """What was not as it was promised."""
        return [
            *(f"too long a lie: {lie}" for lie in self.lies if lie.seconds > lie.bound),
            *(f"more than before: {name}" for name in self.grown),
        ]

    @property
    def void(self) -> bool:
        """Whether nothing was seen, and that means nothing."""
        return not self.seen and self.held_up > HELD_UP

    @property
    def problems(self) -> list[str]:
        """Why it is not known to be as it was promised."""
        stood = ["the machine stood still too long for anything to be shown"]
        return stood if self.void else self.seen

    def tell(self) -> None:
        """Tell the worst lies, what was held, and the problems."""
        for lie in self.lies[:5]:
            tell(f"lie: {lie.seconds:.2f} s of {lie.bound:.2f}: {lie.told}")
        tell(f"held before: {self.before}\nheld now: {self.after}")
        tell(f"held up by the machine: {self.held_up:.1%} of the time")
        for problem in self.problems:
            tell(f"  *** {problem}")


def verdict(
    stage: Stage,
    count: int,
    seed: str,
    *,
    warming: int = WARMING,
    subject: Sequence[str] = SUBJECT,
) -> Verdict:
    """Let so many random faults happen, and judge what the service told and kept."""
    return shown(partial(_attempt, stage, count, seed, warming, subject))


def shown(attempt: Callable[[], Verdict]) -> Verdict:
    """Come to a verdict, and tell it; the machine may make a few void."""
    for _ in range(TRIES):
        found = attempt()
        found.tell()
        if not found.void:
            break
    return found


def _attempt(stage: Stage, count: int, seed: str, warming: int, subject: Sequence[str]) -> Verdict:
    tell(f"{count} random faults, seed {seed}")
    with (
        watched(stage, postgres.NAMED, subject) as (service, twin),
        Load(service, twin, *map(path, CHECKS)) as load,
    ):
        begun = time.monotonic()
        lies = storm(stage, load, warming, f"{seed} warming")
        time.sleep(LEFT)
        before = most_held(service, stage)
        lies += storm(stage, load, count - warming, seed)
        after, more = grown(before, service, stage)
        ended = time.monotonic()
        held_up = load.held_up(begun, ended) / (ended - begun)
    lies.sort(key=lambda lie: lie.seconds - lie.bound, reverse=True)
    return Verdict(lies, before, after, more, held_up)
