"""Measures all contenders under all loads, in rounds."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.contenders import RAW, Contender
from benchmarks.load import Sample, burst, wrk
from benchmarks.process import Server
from benchmarks.stores import Stores


# For each load, the number of connections and whether they are kept alive.
LOADS = {
    "1 connection": (1, True),
    "32 connections": (32, True),
    "256 connections": (256, True),
    "a connection for each request": (32, False),
}
HANGING = "32 connections, PostgreSQL hangs"
AT_ONCE = 256


@dataclass
class Results:
    """Measurements by load and contender."""

    samples: defaultdict[tuple[str, Contender], list[Sample]] = field(
        default_factory=lambda: defaultdict(list)
    )
    bursts: defaultdict[Contender, list[float]] = field(default_factory=lambda: defaultdict(list))

    def median(self, load: str, contender: Contender, figure: str = "rate") -> float:
        """Return the median of a figure over all rounds; NaN if there are none."""
        return _median([getattr(sample, figure) for sample in self.samples[load, contender]])

    def slowest(self, contender: Contender) -> float:
        """Return the seconds of the slowest burst."""
        return max(self.bursts[contender])

    def ratio(
        self, load: str, contender: Contender, other: Contender = RAW, figure: str = "rate"
    ) -> float:
        """Return the median over the rounds of a contender's figure divided by another's."""
        return _median(self._ratios(load, contender, other, figure))

    def change(self, load: str, before: str, contender: Contender) -> float:
        """Return the median over the rounds of the change of the ratio to raw ASGI between loads.

        Both loads of a round use the same processes, so their memory layout is the same.
        """
        after, reference = (self._ratios(one, contender, RAW, "rate") for one in (load, before))
        return _median([one / two for one, two in zip(after, reference, strict=True)])

    def _ratios(
        self, load: str, contender: Contender, other: Contender, figure: str
    ) -> list[float]:
        pairs = zip(self.samples[load, contender], self.samples[load, other], strict=True)
        return [getattr(one, figure) / (getattr(two, figure) or math.nan) for one, two in pairs]


def _median(figures: Sequence[float]) -> float:
    """Return the median; NaN if there are no figures."""
    return statistics.median(figures) if figures else math.nan


def load(
    stores: Stores, contenders: Sequence[Contender], environ: Mapping[str, str], **how: int
) -> Results:
    """Run every load on every contender, *rounds* times, for *seconds* each."""
    results = Results()
    for number in range(how["rounds"]):
        # Start each round with another contender, so that none has the better position.
        first = number % len(contenders)
        with ExitStack() as stack:
            # Start new processes: a lucky memory layout then lasts for one round only.
            servers = [
                stack.enter_context(Server(contender, environ))
                for contender in (*contenders[first:], *contenders[:first])
            ]
            for server in servers:
                server.await_ready()
                wrk(server, 32, 1)  # exclude what the first request initializes
            _round(results, servers, how["seconds"])
            with stores.hanging():
                for server in servers:
                    sample = wrk(server, 32, how["seconds"])
                    results.samples[HANGING, server.contender].append(sample)
    return results


def _round(results: Results, servers: Iterable[Server], seconds: int) -> None:
    for name, (connections, keep_alive) in LOADS.items():
        for server in servers:
            sample = wrk(server, connections, seconds, keep_alive=keep_alive)
            results.samples[name, server.contender].append(sample)
    for server in servers:
        if server.contender.app == RAW.app or server.contender.ours:
            results.bursts[server.contender].append(burst(server, AT_ONCE))
