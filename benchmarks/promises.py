"""Performance targets."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.checks import HTTP_30
from benchmarks.contenders import ASGI, BARE, IMPORTS, LIBRARIES, LIVE, LIVE_ASGI, SERVE
from benchmarks.costs import Costs
from benchmarks.rounds import HANGING, Results


KEPT, NEW = "32 connections", "a connection for each request"


@dataclass(frozen=True)
class Target:
    """A measured figure and its limit."""

    name: str
    figure: float
    least: float | None = None
    most: float | None = None

    @property
    def bound(self) -> str:
        """The limit as text."""
        return f"at most {self.most:g}" if self.least is None else f"at least {self.least:g}"

    @property
    def met(self) -> bool:
        """Return whether the figure is within its limit."""
        return (self.least or -math.inf) <= self.figure <= (self.most or math.inf)


def targets(results: Results, costs: Costs) -> Iterator[Target]:
    """Return the targets with their measured figures."""
    libraries = min(results.ratio(KEPT, SERVE, library) for library in LIBRARIES)
    hanging = results.change(HANGING, KEPT, SERVE)
    yield Target("readiness under uvicorn / raw ASGI", results.ratio(KEPT, ASGI), 0.9)
    yield Target("liveness under uvicorn / raw ASGI", results.ratio(KEPT, LIVE_ASGI), 0.9)
    yield Target("readiness, `vitals serve` / raw ASGI", results.ratio(KEPT, SERVE), 2.5)
    yield Target("liveness, `vitals serve` / raw ASGI", results.ratio(KEPT, LIVE), 2.5)
    yield Target(
        "readiness, a connection for each request / raw ASGI", results.ratio(NEW, SERVE), 1.3
    )
    for load in (KEPT, NEW):
        waits = results.ratio(load, SERVE, figure="p99")
        yield Target(f"p99 with {load} / raw ASGI", waits, most=1.1)
    yield Target("256 connections at once: last answer, s", results.slowest(SERVE), most=0.25)
    yield Target("readiness / fastest Python health library", libraries, 20)
    yield Target("readiness while PostgreSQL hangs / before", hanging, 0.9)
    yield Target("liveness with 30 checks / 2 checks", costs.growth[LIVE], 0.95)
    yield Target("readiness under uvicorn with 30 checks / 2 checks", costs.growth[ASGI], 0.95)
    yield Target("readiness, `vitals serve`, with 30 checks / 2 checks", costs.growth[SERVE], 0.95)
    start = costs.starts[SERVE] / costs.starts[BARE]
    memory = costs.memory[SERVE] / costs.memory[IMPORTS]
    yield Target("first liveness answer / FastAPI without drivers", start, most=1.25)
    yield Target("memory / FastAPI with the same imports", memory, most=1.15)
    yield Target("30 idle checks: share of a CPU", costs.monitor[0], most=0.03)
    yield Target("30 idle checks: growth in 5 s, KiB", costs.monitor[1] / 1024, most=16)
    many = costs.checks
    yield Target("200 checks: share of a core, 1 s apart", many.share, most=0.15)
    yield Target("200 checks: readiness p99 at 32 connections, ms", 1000 * many.p99, most=10)
    yield Target("readiness without details, 200 checks / 2 checks", many.growth, 0.9)
    if old := many.cpu.get("in 1.0"):  # measured only where the history of git is
        cost = many.cpu["Vitals"][HTTP_30] / old[HTTP_30]
        yield Target("CPU time of an HTTP check / in 1.0, 30 checks", cost, most=0.5)
