"""Writes the results of the last run to `docs/reliability.md`."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence

from tests.chaos.storm import Inaccuracy
from tests.chaos.trial import Outcome
from tests.support.service import ROOT
from tests.system.store_storms import Storm
from tests.system.witness import INTERVAL, TIMEOUT


FILE = ROOT / "docs" / "reliability.md"

# Steps to which figures are rounded up.
TIMES = {half / 2: f"{half / 2} s" for half in range(1, 21)}
ANSWERS = {ms / 1000: f"{ms} ms" for ms in (10, 50, 100, 250, 500, 1000)}

TEXT = """\
# What happens when something breaks

Vitals was shown {rows_number} ways in which a dependency fails or recovers, on real servers. Each
time it reported the right reason, no other check changed, and `/health/live` answered. Look up a
fault to see the reason that you will find, and how soon.

`make faults` writes this page when every row passes, and fails otherwise. It breaks real servers
(Debian's PostgreSQL, PgBouncer and Redis) and a test HTTP service in each of the ways below, either
directly or by a proxy in front of them. Meanwhile it keeps requesting the endpoints of Vitals.

Checks run every 0.2 s with a timeout of 0.4 s, and sessions are renewed after 0.5 s. Vitals must
report a fault within 1.1 s, or within 1.6 s if an open session can't see it (marked with a star).
It must report the repair within 1.1 s. With the default settings these limits are 2.5 s, and 15 s
more for faults with a star.

- **red** is the time from the start of the fault until `/health/ready` answers only 503. Rows
  without a reason must not turn red, because the dependency can still serve.
- **green** is the time from the end of the repair to the first 200.
- **live** is the slowest answer of `/health/live` during the fault; its status is always 200.

Figures are rounded up: times to half a second, answers to 10, 50, 100, 250, 500 or 1000 ms. A
figure changes only if a run differs by more than one step. The slowest of some thousand answers
depends more on the machine than on Vitals, so each row also has a latency limit: 99 of 100 answers
of `/health/ready`, `/health/live` and `/metrics`, requested over 32 connections, must take at most
twice as long as those of a healthy instance at the same time, plus 5 ms. Answers during which the
machine or one of its CPUs stalled don't count; the healthy instance and a stall detector on each
CPU show when that was. A row in which only this limit is exceeded runs a second time, because a
delay caused by the fault occurs again. No other failure is retried.

| dependency | fault | reason | red | green | live |
| --- | --- | --- | --- | --- | --- |
{rows}

57P03 comes from real servers: one that waits for a session before it shuts down, and a standby that
accepts no connections.

In {faults} more faults of random kind and length, on three dependencies at once, answers were wrong
for at most {inaccuracy} at a stretch, and never for longer than the limit. No task, thread,
descriptor, socket or server session was leaked.

## Stores that span machines

Servers of each store were killed, frozen and failed over at random, and their network was cut,
while a client wrote through the same addresses as the check. The check ran every {interval} s with
a timeout of {timeout} s, at the depth `writable`.

| store | faults | check and client disagreed for at most | limit |
| --- | --- | --- | --- |
{storms}

So a client can meet an error, or succeed again, this long before Vitals shows it.
"""


def write(
    outcomes: Sequence[Outcome],
    inaccuracies: Sequence[Inaccuracy],
    faults: int,
    lies: Mapping[Storm, float],
) -> None:
    """Write the page.

    Args:
        lies: for how many seconds the check of a store has contradicted its client.
    """
    before = FILE.read_text() if FILE.exists() else ""
    rows = "\n".join(_row(outcome, before) for outcome in outcomes)
    previous = re.search(r"at most ([0-9.]+ s) at a stretch", before)
    longest = figure(
        max(one.seconds for one in inaccuracies), TIMES, previous[1] if previous else ""
    )
    storms = "\n".join(_storm_row(storm, seconds, before) for storm, seconds in lies.items())
    terms = {"interval": INTERVAL, "timeout": TIMEOUT, "rows_number": len(outcomes)}
    text = TEXT.format(rows=rows, faults=faults, inaccuracy=longest, storms=storms, **terms)
    FILE.write_text(text)


def figure(seconds: float, steps: Mapping[float, str], before: str) -> str:
    """Round up to a step. Return *before* if it is at most one step away."""
    labels = [*steps.values(), "more"]
    step = bisect_left([*steps], seconds)
    if before in labels and abs(labels.index(before) - step) <= 1:
        return before
    return labels[step]


def _row(outcome: Outcome, before: str) -> str:
    row = outcome.row
    start = f"| {row.check} | {row.name} | "
    found = [line for line in before.splitlines() if line.startswith(start)]
    previous = found[0].split(" | ")[-3:] if found else ["", "", ""]
    star = " *" if row.unseen else ""
    red = figure(outcome.red, TIMES, previous[0].removesuffix(" *")) + star if outcome.red else ""
    green = figure(outcome.green, TIMES, previous[1]) if outcome.green and row.reason else ""
    live = figure(outcome.live, ANSWERS, previous[2].removesuffix(" |"))
    reason = f"`{row.reason}`" if row.reason else ""
    return f"{start}{reason} | {red or 'never'} | {green} | {live} |"


def _storm_row(storm: Storm, seconds: float, before: str) -> str:
    start = f"| {storm.name} | {storm.rounds} | "
    previous = re.search(rf"^{re.escape(start)}([0-9.]+ s)", before, re.MULTILINE)
    longest = figure(seconds, TIMES, previous[1] if previous else "")
    return f"{start}{longest} | {storm.limit:.1f} s |"
