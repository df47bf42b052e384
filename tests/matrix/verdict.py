"""What random faults bring to light: lies that last too long, and what is left behind."""

import time
from collections.abc import Sequence

from tests.matrix import postgres
from tests.matrix.held import LEFT, grown, held
from tests.matrix.load import Load
from tests.matrix.stage import CHECKS, Stage
from tests.matrix.storm import Lie, path, storm
from tests.matrix.table import tell
from tests.matrix.watched import SUBJECT, watched


# How many faults come before what is held is first counted.
WARMING = 15


def verdict(
    stage: Stage,
    count: int,
    seed: str,
    *,
    warming: int = WARMING,
    subject: Sequence[str] = SUBJECT,
) -> tuple[list[Lie], list[str]]:
    """Let so many random faults happen; tell the lies, and what was not as it was promised."""
    tell(f"{count} random faults, seed {seed}")
    with (
        watched(stage, postgres.NAMED, subject) as (service, twin),
        Load(service, twin, *map(path, CHECKS)) as load,
    ):
        lies = storm(stage, load, warming, f"{seed} warming")
        time.sleep(LEFT)
        before = held(service, stage)
        lies += storm(stage, load, count - warming, seed)
        now, more = grown(before, service, stage)
    lies.sort(key=lambda lie: lie.seconds - lie.bound, reverse=True)
    for lie in lies[:5]:
        tell(f"lie: {lie.seconds:.2f} s of {lie.bound:.2f}: {lie.told}")
    tell(f"held before: {before}\nheld now: {now}")
    problems = [f"too long a lie: {lie}" for lie in lies if lie.seconds > lie.bound]
    problems += [f"more than before: {name}" for name in more]
    for problem in problems:
        tell(f"  *** {problem}")
    return lies, problems
