"""Writes docs/performance.md."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from benchmarks.checks import check_tables
from benchmarks.contenders import LIBRARIES, SERVE, Contender
from benchmarks.costs import Costs
from benchmarks.markdown import table
from benchmarks.plot import bars
from benchmarks.promises import targets
from benchmarks.rounds import HANGING, LOADS, Results


DOCS = Path(__file__).parent.parent / "docs"
COMMON = "32 connections"
RATIO = f"answers per second relative to raw ASGI on uvicorn, {COMMON}"

INTRODUCTION = """\
# Performance

With 32 connections `vitals serve` answers {faster:.1f} times as often as a bare ASGI application
that sends the same bytes, and {fastest:.0f} times as often as the fastest Python health library.
No request causes a query, so a load balancer may ask as often as it likes. A check of PostgreSQL or
Redis costs about {check:.1f} ms of CPU time.

`make bench` writes this page; don't edit it. The contenders run on one CPU and wrk on another. Each
of {rounds} rounds starts new processes in another order, and runs each load for {seconds} s. The
figures are medians over the rounds; a ratio is the median of the ratios within a round. Measured
{date} with Python {python} and uvicorn {uvicorn}, under all contenders with uvloop and
httptools and without an access log. The checks are one PostgreSQL and one Redis.

Absolute figures depend on the machine, here with {processors} CPUs; compare the ratios.
Raw ASGI sends the headers and the body of the service. The queries during 1,000 requests include
those of scheduled checks.

![{ratio}](performance.svg)
"""


def rates(results: Results, contenders: Sequence[Contender]) -> str:
    """Return a table for each load."""
    parts = []
    for load in (*LOADS, HANGING):
        heads = [load, "answers/s", "/ raw ASGI", "p50, ms", "p99, ms", "CPU per answer, µs"]
        rows = [
            [
                contender.name,
                f"{results.median(load, contender):,.0f}",
                f"{results.ratio(load, contender):.3f}",
                f"{results.median(load, contender, 'p50') * 1e3:.2f}",
                f"{results.median(load, contender, 'p99') * 1e3:.2f}",
                f"{results.median(load, contender, 'cpu') * 1e6:.1f}",
            ]
            for contender in contenders
        ]
        parts.append(table(heads, rows))
    return "\n".join(parts)


def costs(figures: Costs) -> str:
    """Return tables of the other costs of each contender."""
    heads = ["during 1,000 requests", "statements to PostgreSQL", "commands to Redis"]
    rows = [
        [contender.name, f"{statements:.0f}", f"{commands:.0f}"]
        for contender, (statements, commands) in figures.queries.items()
    ]
    process = [
        [contender.name, f"{seconds:.2f}", f"{figures.memory[contender] / 2**20:.0f}"]
        for contender, seconds in figures.starts.items()
    ]
    started = ["process", "from exec to the first answer, s", "memory, MiB"]
    grown = [[contender.name, f"{ratio:.3f}"] for contender, ratio in figures.growth.items()]
    thirty = ["answers/s with 30 checks", "/ with 2 checks"]
    return "\n".join([table(heads, rows), table(started, process), table(thirty, grown)])


def write(
    results: Results, figures: Costs, contenders: Sequence[Contender], rounds: int, seconds: int
) -> str:
    """Write the page and its chart, and return the page."""
    ratios = {c.name: (results.ratio(COMMON, c), c.ours) for c in contenders}
    bars(RATIO, ratios, DOCS / "performance.svg")
    introduction = INTRODUCTION.format(
        rounds=rounds,
        seconds=seconds,
        date=datetime.now(UTC).date(),
        python=platform.python_version(),
        uvicorn=uvicorn.__version__,
        processors=os.cpu_count(),
        ratio=RATIO,
        faster=results.ratio(COMMON, SERVE),
        fastest=results.ratio(COMMON, SERVE) / max(results.ratio(COMMON, c) for c in LIBRARIES),
        check=1000 * figures.checks.cpu["Vitals"]["postgresql"],
    )
    rows = [
        [target.name, f"{target.figure:.3g}", target.bound, "yes" if target.met else "**no**"]
        for target in targets(results, figures)
    ]
    summary = table(["target", "figure", "limit", "met"], rows)
    page = "\n".join(
        [
            introduction,
            summary,
            costs(figures),
            check_tables(figures.checks),
            rates(results, contenders),
        ]
    )
    (DOCS / "performance.md").write_text(page)
    return page
