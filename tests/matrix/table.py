"""The whole table, tried row by row."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby

from tests.matrix import http, postgres, redis
from tests.matrix.load import Load
from tests.matrix.row import Row, Scene
from tests.matrix.stage import Stage, staged
from tests.matrix.trial import Outcome, Trial
from tests.matrix.watched import watched
from tests.service import Service


ROWS = (*postgres.ROWS, *redis.ROWS, *http.ROWS)


def try_all(words: str = "") -> list[Outcome]:
    """Try every row whose name holds these words; tell what was seen.

    One after the other: two at once leave what they break too little of a slow machine to answer
    in time once it is mended, as who asks and who answers go before it.
    """
    rows = [row for row in ROWS if words in f"{row.check} {row.name}"]
    with staged() as stage:
        scenes = groupby(rows, key=lambda row: row.scene)
        return [outcome for scene, group in scenes for outcome in _play(stage, scene, group)]


def _play(stage: Stage, scene: Scene, rows: Iterator[Row]) -> Iterator[Outcome]:
    """Try the rows of one scene on a service of their own."""
    with (
        scene.prepared(stage),
        watched(stage, scene) as (service, twin),
        Load(service, twin) as load,
    ):
        for row in rows:
            yield tried(partial(_attempt, row, service, load, stage))


def _attempt(row: Row, service: Service, load: Load, stage: Stage) -> Outcome:
    return Trial(row, service, load).run(stage)


def tried(attempt: Callable[[], Outcome]) -> Outcome:
    """Try a row, and tell what was seen; once more where answers were late, and nothing else.

    What a fault costs, it costs each time. The machine, which costs some hundredths of a second now
    and then that neither the twin nor a witness meets, does not twice in the same row.
    """
    outcome = attempt()
    tell(line(outcome))
    if outcome.late and not outcome.problems:
        outcome = attempt()
        tell(line(outcome))
    return outcome


def tell(words: str) -> None:
    """Say something at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def line(outcome: Outcome) -> str:
    """Tell an outcome in a line, and what is wrong with it in more."""
    row = outcome.row
    figures = {name: getattr(outcome, name) for name in ("red", "green", "live", "held_up")}
    told = "  ".join(f"{name} {seconds:.2f}" for name, seconds in figures.items() if seconds)
    problems = "".join(f"\n  *** {problem}" for problem in outcome.wrong)
    learned = "".join(f"\n      {line}" for line in outcome.learned)
    return f"{row.check}: {row.name}: {row.reason or 'serves'}  {told}{problems}{learned}"
