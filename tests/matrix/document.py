"""What the last run saw, as `docs/reliability.md` has it."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from tests.matrix.storm import Lie
from tests.matrix.trial import Outcome
from tests.service import ROOT


FILE = ROOT / "docs" / "reliability.md"

# What figures are rounded up to. One that is told as the step beside what is seen now is left as
# it is, so that the page changes when something has changed.
TIMES = {half / 2: f"{half / 2} s" for half in range(1, 21)}
ANSWERS = {ms / 1000: f"{ms} ms" for ms in (10, 50, 100, 250, 500, 1000)}

TEXT = """\
# What happens when something breaks

`make faults` writes this page when all that is on it holds, and fails otherwise. It breaks real
servers (Debian's PostgreSQL, PgBouncer and Redis) and an HTTP service of the tests, themselves or
by a proxy before them, in each of these ways, and asks all the time what the service says.

Checks run every 0.2 s with a timeout of 0.4 s, and sessions are renewed after 0.5 s. So a fault has
to be told within 1.1 s, or 1.6 s where an open session can't see it (marked with a star), and its
repair within 1.1 s. With the defaults that is 2.5 s, and 15 s more for what has a star.

- **red** is the time from the beginning of the fault until `/health/ready` says 503 and nothing
  else; a row without one must not turn red, as the dependency can serve;
- **green** is the time from the end of the repair to the first 200;
- **live** is the slowest answer of `/health/live` meanwhile; its code is always 200.

Figures are rounded up: times to half a second, answers to 10, 50, 100, 250, 500 and 1000 ms; one
stays as it was while a run sees no more than one step of a difference. The slowest of some thousand
answers tells more of the machine than of the service. What tells of the service: during every fault
99 of 100 answers of `/health/ready`, `/health/live` and `/metrics`, asked over 32 connections, come
within twice the time that the same answers of a healthy service take, asked in the same moments,
and 5 ms. Answers during which the machine or one of its processors stood still do not count for
that; that it did is told by the healthy service and by a witness on each processor. Where such
answers were late and all else was as promised, the fault happens a second time, as what it costs it
costs each time, and they are late if they are so again. For nothing else is a row tried again.

| dependency | fault | reason | red | green | live |
| --- | --- | --- | --- | --- | --- |
{rows}

57P03 comes from real servers: one that waits for a session before it shuts down, and a standby that
lets nobody in.

Over {faults} more faults, random in kind and length and on three dependencies at once, the longest
stretch in which an answer contradicted the truth was {lie}, and none was longer than the bound.
Nothing was left behind: no task, thread, descriptor, socket or session on a server.
"""


def write(outcomes: Sequence[Outcome], lies: Sequence[Lie], faults: int) -> None:
    """Write the page."""
    before = FILE.read_text() if FILE.exists() else ""
    rows = "\n".join(_row(outcome, before) for outcome in outcomes)
    told = re.search(r"contradicted the truth was ([0-9.]+ s)", before)
    longest = figure(max(lie.seconds for lie in lies), TIMES, told[1] if told else "")
    FILE.write_text(TEXT.format(rows=rows, faults=faults, lie=longest))


def figure(seconds: float, steps: Mapping[float, str], before: str) -> str:
    """Round a figure up to a step, or leave it as it was where that is the one beside."""
    words = [*steps.values(), "more"]
    step = bisect_left([*steps], seconds)
    if before in words and abs(words.index(before) - step) <= 1:
        return before
    return words[step]


def _row(outcome: Outcome, before: str) -> str:
    row = outcome.row
    begin = f"| {row.check} | {row.name} | "
    found = [line for line in before.splitlines() if line.startswith(begin)]
    told = found[0].split(" | ")[-3:] if found else ["", "", ""]
    star = " *" if row.unseen else ""
    red = figure(outcome.red, TIMES, told[0].removesuffix(" *")) + star if outcome.red else "never"
    green = figure(outcome.green, TIMES, told[1]) if outcome.green and row.reason else ""
    live = figure(outcome.live, ANSWERS, told[2].removesuffix(" |"))
    reason = f"`{row.reason}`" if row.reason else ""
    return f"{begin}{reason} | {red} | {green} | {live} |"
