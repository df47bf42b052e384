"""The measurements, in rounds in which each contender has its turn."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.contenders import RAW, Contender
from benchmarks.load import Sample, burst, wrk
from benchmarks.process import Running
from benchmarks.stores import Stores


# How a load is put: connections, and whether they are kept.
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
    """What was measured, by load and contender."""

    samples: defaultdict[tuple[str, Contender], list[Sample]] = field(
        default_factory=lambda: defaultdict(list)
    )
    bursts: defaultdict[Contender, list[float]] = field(default_factory=lambda: defaultdict(list))

    def median(self, load: str, contender: Contender, figure: str = "rate") -> float:
        """Tell the median of a figure over all rounds; not a number where there are none."""
        return _median([getattr(sample, figure) for sample in self.samples[load, contender]])

    def slowest(self, contender: Contender) -> float:
        """Tell the longest that any of many connections at once has waited."""
        return max(self.bursts[contender])

    def ratio(
        self, load: str, contender: Contender, other: Contender = RAW, figure: str = "rate"
    ) -> float:
        """Tell the median over the rounds of how a contender compares with another in the same."""
        return _median(self._ratios(load, contender, other, figure))

    def change(self, load: str, before: str, contender: Contender) -> float:
        """Tell the median over the rounds of how the ratio to raw ASGI changes from load to load.

        Both are measured of the same processes, which lie in memory as they do in this round.
        """
        changed, as_before = (self._ratios(one, contender, RAW, "rate") for one in (load, before))
        return _median([one / two for one, two in zip(changed, as_before, strict=True)])

    def _ratios(
        self, load: str, contender: Contender, other: Contender, figure: str
    ) -> list[float]:
        pairs = zip(self.samples[load, contender], self.samples[load, other], strict=True)
        return [getattr(one, figure) / (getattr(two, figure) or math.nan) for one, two in pairs]


def _median(figures: Sequence[float]) -> float:
    """Tell the median; not a number where there are none."""
    return statistics.median(figures) if figures else math.nan


def load(
    stores: Stores, contenders: Sequence[Contender], environ: Mapping[str, str], **how: int
) -> Results:
    """Put every load to every contender, *rounds* times, for so many *seconds* each."""
    results = Results()
    for number in range(how["rounds"]):
        # Nobody has the better place: in each round another one begins.
        first = number % len(contenders)
        with ExitStack() as stack:
            # New ones: what is faster by how its memory has come to lie is so for one round.
            servers = [
                stack.enter_context(Running(contender, environ))
                for contender in (*contenders[first:], *contenders[:first])
            ]
            for server in servers:
                server.await_ready()
                wrk(server, 32, 1)  # what is made at the first request is not measured
            _round(results, servers, how["seconds"])
            with stores.hanging():
                for server in servers:
                    sample = wrk(server, 32, how["seconds"])
                    results.samples[HANGING, server.contender].append(sample)
    return results


def _round(results: Results, servers: Iterable[Running], seconds: int) -> None:
    for name, (connections, kept) in LOADS.items():
        for server in servers:
            sample = wrk(server, connections, seconds, kept=kept)
            results.samples[name, server.contender].append(sample)
    for server in servers:
        if server.contender.app == RAW.app or server.contender.ours:
            results.bursts[server.contender].append(burst(server, AT_ONCE))
