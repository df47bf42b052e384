"""Writes the figures of the last run into `docs/reliability.md`, and leaves its text as it is."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from tests.chaos.trial import Outcome
from tests.support.service import ROOT
from tests.system.store_storms import Storm


FILE = ROOT / "docs" / "reliability.md"

# Steps to which figures are rounded up.
TIMES = {half / 2: f"{half / 2} s" for half in range(1, 21)}
ANSWERS = {ms / 1000: f"{ms} ms" for ms in (10, 50, 100, 250, 500, 1000)}

# The rows of a table, below its heading.
ROWS = re.compile(r"(?<= --- \|\n)(\|.*\n)+")

# The other cells of each row, by the first two.
Rows = Mapping[tuple[str, str], list[str]]

INACCURACY = re.compile(r"(?<=at most )([0-9.]+ s|more)(?= at a stretch)")


def write(outcomes: Sequence[Outcome], inaccuracy: float, lies: Mapping[Storm, float]) -> None:
    """Write the page.

    Args:
        inaccuracy: for how many seconds random faults were reported wrongly, at most.
        lies: for how many seconds the check of a store has contradicted its client.
    """
    page = FILE.read_text()
    cells = [line[2:-2].split(" | ") for line in page.splitlines() if line.startswith("| ")]
    before = {(one, other): rest for one, other, *rest in cells}
    rows = _table(_row(outcome, before) for outcome in outcomes)
    storms = _table(_storm_row(*storm, before) for storm in lies.items())
    tables = iter((rows, storms))
    page = ROWS.sub(lambda _: next(tables), page)
    page, ways = re.subn(r"(?<=shown )\d+(?= ways)", f"{len(outcomes)}", page)
    page, stretches = INACCURACY.subn(lambda found: figure(inaccuracy, TIMES, found[0]), page)
    assert (ways, stretches) == (1, 1), f"another text than before in {FILE.name}"
    FILE.write_text(page)


def figure(seconds: float, steps: Mapping[float, str], before: str) -> str:
    """Round up to a step. Return *before* if it is at most one step away."""
    labels = [*steps.values(), "more"]
    step = bisect_left([*steps], seconds)
    if before in labels and abs(labels.index(before) - step) <= 1:
        return before
    return labels[step]


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _row(outcome: Outcome, before: Rows) -> list[str]:
    row = outcome.row
    _, *previous = before.get((row.check, row.name), [""] * 4)
    star = " *" if row.unseen else ""
    red = figure(outcome.red, TIMES, previous[0].removesuffix(" *")) + star if outcome.red else ""
    green = figure(outcome.green, TIMES, previous[1]) if outcome.green and row.reason else ""
    live = figure(outcome.live, ANSWERS, previous[2])
    reason = f"`{row.reason}`" if row.reason else ""
    return [row.check, row.name, reason, red or "never", green, live]


def _storm_row(storm: Storm, seconds: float, before: Rows) -> list[str]:
    key = storm.name, f"{storm.rounds}"
    previous, *_ = before.get(key, [""])
    return [*key, figure(seconds, TIMES, previous), f"{storm.limit:.1f} s"]
