"""Tables of the results of the scenarios."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.simulation.database import Database
from benchmarks.simulation.instances import make_settings
from benchmarks.simulation.stories import Costs, Fault, Outage, bound, busiest, outage, steady


SIZES = (10, 1000, 100_000)

# Default sizes of a simulated fleet, for a single run and for comparisons. Figures for larger
# fleets are extrapolated.
MANY = 1000
SOME = 500

# Connections per second that the server accepts after an outage, and the length of its queue.
ACCEPTS, BACKLOG = 200, 4096

LOAD_SETTINGS: Sequence[Mapping[str, Any]] = (
    {},
    {"postgres_depth": "connect"},
    {"check_interval": 5},
    {"check_interval": 10, "reconnect_interval": 60},
    {"check_interval": 30, "reconnect_interval": 300},
)
OUTAGE_SETTINGS: Sequence[Mapping[str, Any]] = (
    {},
    {"failure_threshold": 3},
    {"failure_threshold": 3, "success_threshold": 3},
    {"check_interval": 5},
    {"optional_checks": "postgres"},
)
FAULTS = [Fault(length, silent) for silent in (False, True) for length in (0.5, 2, 10)]
RECOVERY_SETTINGS: Sequence[Mapping[str, Any]] = (
    {},
    {"check_interval": 2},
    {"check_interval": 5},
    {"check_interval": 10},
    {"check_timeout": 5},
)

# For each size, the connections per second that the server or its poolers must accept, and the
# recommended settings.
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


def describe(changes: Mapping[str, Any]) -> str:
    """Return settings as variables with their values."""
    parts = (f"`{name.upper()}={value}`" for name, value in changes.items())
    return " ".join(parts) or "the defaults"


def load() -> Iterator[Row]:
    """Yield the load on the database for each setting and size."""
    for changes in LOAD_SETTINGS:
        settings = make_settings(**changes)
        seconds = max(30.0, settings.reconnect_interval)
        costs = steady(settings, MANY if seconds < 100 else SOME, seconds)
        yield [describe(changes), *(cell for size in SIZES for cell in _cells(costs, size))]


def _cells(costs: Costs, size: int) -> Row:
    figures = (costs.connections, costs.statements, costs.renewals)
    return [
        f"{figure * size:,.3g}" if figure * size < 100 else f"{figure * size:,.0f}"
        for figure in figures
    ]


def proportion() -> Iterator[Row]:
    """Yield the load on the database per instance, by the size of the fleet."""
    for size in (10, 100, 1000, 2000):
        costs = steady(make_settings(), size, 30)
        figures = (costs.connections, costs.statements, costs.renewals)
        yield [f"{size:,}", *(f"{figure:.3f}" for figure in figures)]


def spread() -> Iterator[Row]:
    """Yield the peak of the statements after a simultaneous start, with and without jitter."""
    for seconds in (0, 10, 60, 120):
        jittered, fixed = busiest(SOME, seconds), busiest(SOME, seconds, lambda: 0.0)
        yield [str(seconds), f"{jittered:.1f}", f"{fixed:.1f}"]


def outages() -> Iterator[Row]:
    """Yield the share of unready instances and their downtime, for each fault and setting."""
    for fault in FAULTS:
        runs = (outage(make_settings(**c), SOME, fault, 20) for c in OUTAGE_SETTINGS)
        name = f"{'hangs' if fault.silent else 'refuses'} for {fault.length:g} s"
        yield [name, *(f"{run.worst:.0%}, {run.downtime:.1f} s" for run in runs)]


def flapping() -> Row:
    """Return the status changes and the downtime during a minute of a flapping database."""
    runs = (outage(make_settings(**c), SOME, Fault(2, times=15), 2) for c in OUTAGE_SETTINGS)
    return [
        "2 s up, 2 s down",
        *(f"{run.transitions:.0f} changes, {run.downtime:.0f} s" for run in runs),
    ]


def recovery(changes: Mapping[str, Any]) -> Outage:
    """Simulate the recovery with a server that accepts a fifth of the fleet per second."""
    limited = partial(Database, accepts=ACCEPTS, backlog=BACKLOG)
    return outage(make_settings(**changes), MANY, Fault(10), 40, limited)


def recoveries(runs: Mapping[str, Outage]) -> Iterator[Row]:
    """Yield the connection attempts in the outage and the seconds to recover, by setting."""
    for name, run in runs.items():
        back = "not within 40" if run.recovery is None else f"{run.recovery:.0f}"
        yield [name, f"{max(run.attempts[second] for second in range(10)):,}", back]


def recommended() -> Iterator[Row]:
    """Yield the recommended settings for each size, with their load and the time to recover."""
    for size, (accepts, changes) in RECOMMENDED.items():
        settings = make_settings(**changes)
        simulated = min(size, MANY)
        costs = steady(settings, simulated, max(30.0, settings.reconnect_interval))
        limited = partial(
            Database, accepts=accepts * simulated / size, backlog=BACKLOG * simulated / size
        )
        # Measure when the last check passes again, even if the check is optional.
        run = outage(
            make_settings(**{**changes, "optional_checks": ""}), simulated, Fault(10), 40, limited
        )
        rate = max(run.attempts[second] for second in range(10)) * size / simulated
        yield [
            f"{size:,}",
            describe(changes),
            *_cells(costs, size),
            f"{rate:,.0f}",
            f"{accepts:,}",
            "never" if run.recovery is None else f"{run.recovery:.0f}",
            f"{bound(settings, settings.failure_threshold):g}",
        ]
