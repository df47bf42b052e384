"""What the stories come to, in tables."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.simulation.database import Database
from benchmarks.simulation.instances import setting
from benchmarks.simulation.stories import Costs, Fault, Outage, bound, busiest, outage, steady


SIZES = (10, 1000, 100_000)

# What is simulated where a size is not named; larger ones are told in proportion.
MANY = 1000
SOME = 500

# New connections a second that the server of the herd makes, and how many may wait for one.
ACCEPTS, BACKLOG = 200, 4096

ASKED: Sequence[Mapping[str, Any]] = (
    {},
    {"postgres_require": "connect"},
    {"check_interval": 5},
    {"check_interval": 10, "reconnect_interval": 60},
    {"check_interval": 30, "reconnect_interval": 300},
)
JUDGED: Sequence[Mapping[str, Any]] = (
    {},
    {"failure_threshold": 3},
    {"failure_threshold": 3, "success_threshold": 3},
    {"check_interval": 5},
    {"optional_checks": "postgres"},
)
FAULTS = [Fault(length, silent) for silent in (False, True) for length in (0.5, 2, 10)]
HERDS: Sequence[Mapping[str, Any]] = (
    {},
    {"check_interval": 2},
    {"check_interval": 5},
    {"check_interval": 10},
    {"check_timeout": 5},
)

# What is recommended for each size, with the new connections a second that its server, or its
# poolers together, have to make for it.
RECOMMENDED: Mapping[int, tuple[int, Mapping[str, Any]]] = {
    10: (200, {"failure_threshold": 2}),
    1000: (
        200,
        {
            "check_interval": 5,
            "check_timeout": 5,
            "failure_threshold": 2,
            "reconnect_interval": 60,
        },
    ),
    100_000: (
        5000,
        {
            "check_interval": 30,
            "check_timeout": 10,
            "optional_checks": "postgres",
            "reconnect_interval": 900,
        },
    ),
}

Row = list[str]


def words(changes: Mapping[str, Any]) -> str:
    """Tell what is set, as it is set."""
    told = (f"`{name.upper()}={value}`" for name, value in changes.items())
    return " ".join(told) or "the defaults"


def asked() -> Iterator[Row]:
    """What a fleet asks of its database, for each setting and size."""
    for changes in ASKED:
        settings = setting(**changes)
        seconds = max(30.0, settings.reconnect_interval)
        costs = steady(settings, MANY if seconds < 100 else SOME, seconds)
        yield [words(changes), *(cell for size in SIZES for cell in _cells(costs, size))]


def _cells(costs: Costs, size: int) -> Row:
    figures = (costs.connections, costs.statements, costs.renewals)
    return [
        f"{figure * size:,.3g}" if figure * size < 100 else f"{figure * size:,.0f}"
        for figure in figures
    ]


def proportion() -> Iterator[Row]:
    """The same for one instance, by the size of its fleet."""
    for size in (10, 100, 1000, 2000):
        costs = steady(setting(), size, 30)
        figures = (costs.connections, costs.statements, costs.renewals)
        yield [f"{size:,}", *(f"{figure:.3f}" for figure in figures)]


def spread() -> Iterator[Row]:
    """How even the statements of a fleet are that has started in one moment."""
    for seconds in (0, 10, 60, 120):
        even, odd = busiest(SOME, seconds), busiest(SOME, seconds, lambda: 0.0)
        yield [str(seconds), f"{even:.1f}", f"{odd:.1f}"]


def failed() -> Iterator[Row]:
    """How many turn red, and for how long, when the database fails for a while."""
    for fault in FAULTS:
        runs = (outage(setting(**c), SOME, fault, 20) for c in JUDGED)
        name = f"{'hangs' if fault.silent else 'refuses'} for {fault.length:g} s"
        yield [name, *(f"{run.reddest:.0%}, {run.lost:.1f} s" for run in runs)]


def flapped() -> Row:
    """How often an instance turns in a minute in which the database fails and serves in turns."""
    runs = (outage(setting(**c), SOME, Fault(2, times=15), 2) for c in JUDGED)
    return ["2 s up, 2 s down", *(f"{run.turns:.0f} turns, {run.lost:.0f} s" for run in runs)]


def herd(changes: Mapping[str, Any]) -> Outage:
    """Have a fleet come back to a server that lets in a fifth of it a second."""
    narrow = partial(Database, accepts=ACCEPTS, backlog=BACKLOG)
    return outage(setting(**changes), MANY, Fault(10), 40, narrow)


def herds(runs: Mapping[str, Outage]) -> Iterator[Row]:
    """How soon each was back."""
    for name, run in runs.items():
        back = "not within 40" if run.back is None else f"{run.back:.0f}"
        yield [name, f"{max(run.knocks[second] for second in range(10)):,}", back]


def recommended() -> Iterator[Row]:
    """What each size is recommended to set, what that asks, and how soon it is back."""
    for size, (accepts, changes) in RECOMMENDED.items():
        settings = setting(**changes)
        there = min(size, MANY)
        costs = steady(settings, there, max(30.0, settings.reconnect_interval))
        door = partial(Database, accepts=accepts * there / size, backlog=BACKLOG * there / size)
        # Optional or not, the question is when the last check passes again.
        run = outage(setting(**{**changes, "optional_checks": ""}), there, Fault(10), 40, door)
        rate = max(run.knocks[second] for second in range(10)) * size / there
        yield [
            f"{size:,}",
            words(changes),
            *_cells(costs, size),
            f"{rate:,.0f}",
            f"{accepts:,}",
            "not" if run.back is None else f"{run.back:.0f}",
            f"{bound(settings, settings.failure_threshold):g}",
        ]
