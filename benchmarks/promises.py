"""What has to hold, and whether it does."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.contenders import ASGI, IMPORTS, LIBRARIES, LIVE, LIVE_ASGI, SERVE
from benchmarks.costs import Costs
from benchmarks.rounds import HANGING, Results


KEPT, NEW = "32 connections", "a connection for each request"


@dataclass(frozen=True)
class Promise:
    """A figure and what it may be."""

    name: str
    figure: float
    least: float | None = None
    most: float | None = None

    @property
    def bound(self) -> str:
        """What it may be, in words."""
        return f"at most {self.most:g}" if self.least is None else f"at least {self.least:g}"

    @property
    def kept(self) -> bool:
        """Whether it is so."""
        return (self.least or -math.inf) <= self.figure <= (self.most or math.inf)


def promises(results: Results, costs: Costs) -> Iterator[Promise]:
    """Tell each promise."""
    libraries = min(results.ratio(KEPT, SERVE, library) for library in LIBRARIES)
    hanging = results.change(HANGING, KEPT, SERVE)
    yield Promise("readiness under uvicorn, of raw ASGI", results.ratio(KEPT, ASGI), 0.9)
    yield Promise("liveness under uvicorn, of raw ASGI", results.ratio(KEPT, LIVE_ASGI), 0.9)
    yield Promise("readiness, `vitals serve`, of raw ASGI", results.ratio(KEPT, SERVE), 2.5)
    yield Promise("liveness, `vitals serve`, of raw ASGI", results.ratio(KEPT, LIVE), 2.5)
    yield Promise("with a connection for each request", results.ratio(NEW, SERVE), 1.3)
    for load in (KEPT, NEW):
        waits = results.ratio(load, SERVE, figure="p99")
        yield Promise(f"p99 with {load}, of raw ASGI's", waits, most=1.1)
    yield Promise("256 connections at once, all answered, s", results.slowest(SERVE), most=0.25)
    yield Promise("of the fastest Python health library", libraries, 20)
    yield Promise("the same while PostgreSQL hangs, of before", hanging, 0.9)
    yield Promise("liveness with 30 checks, of 2", costs.growth[LIVE], 0.95)
    yield Promise("readiness under uvicorn, which tells all 30, of 2", costs.growth[ASGI], 0.95)
    yield Promise("readiness, `vitals serve`, the same", costs.growth[SERVE], 0.95)
    start, memory = (figures[SERVE] / figures[IMPORTS] for figures in (costs.starts, costs.memory))
    yield Promise("cold start, of FastAPI with the same imports", start, most=1.25)
    yield Promise("memory, of FastAPI with the same imports", memory, most=1.15)
    yield Promise("30 idle checks, share of a processor", costs.monitor[0], most=0.03)
    yield Promise("30 idle checks, KiB grown in 5 s", costs.monitor[1] / 1024, most=16)
