"""docs/performance.md, as a run writes it."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from benchmarks.contenders import Contender
from benchmarks.costs import Costs
from benchmarks.plot import bars
from benchmarks.promises import promises
from benchmarks.rounds import HANGING, LOADS, Results


DOCS = Path(__file__).parent.parent / "docs"
RATIO = "answers while raw ASGI on uvicorn gives one, 32 connections"

INTRODUCTION = """\
# Performance

Written by `make bench`; not by hand. Each contender runs on one processor, wrk on another, in
turns: {rounds} rounds of {seconds} s for each load, each with new processes and begun by another,
of which these are the medians; a ratio is the median of those within a round. Measured
{date}, Python {python}, uvicorn {uvicorn} with uvloop and httptools under all of them,
without an access log. The checks are one PostgreSQL and one Redis.

Absolute figures are those of one machine with {processors} processors; ratios are what travels.
Raw ASGI answers with the headers and the body of the service. What 1,000 requests have asked is
counted with what the schedule asks meanwhile.

![{ratio}](performance.svg)
"""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay figures out."""
    lines = [list(heads), ["---", *["---:"] * (len(heads) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def rates(results: Results, contenders: Sequence[Contender]) -> str:
    """Lay out what each load came to."""
    parts = []
    for load in (*LOADS, HANGING):
        heads = [load, "answers a second", "of raw", "p50, ms", "p99, ms", "CPU, µs an answer"]
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
    """Lay out what else each contender costs."""
    heads = ["1,000 requests", "statements to PostgreSQL", "commands to Redis"]
    rows = [
        [contender.name, f"{statements:.0f}", f"{commands:.0f}"]
        for contender, (statements, commands) in figures.asked.items()
    ]
    process = [
        [contender.name, f"{seconds:.2f}", f"{figures.memory[contender] / 2**20:.0f}"]
        for contender, seconds in figures.starts.items()
    ]
    started = ["a process", "from exec to the first answer, s", "memory, MiB"]
    grown = [[contender.name, f"{ratio:.3f}"] for contender, ratio in figures.growth.items()]
    thirty = ["the answer with 30 checks", "how often, of the one with 2"]
    return "\n".join([table(heads, rows), table(started, process), table(thirty, grown)])


def write(
    results: Results, figures: Costs, contenders: Sequence[Contender], rounds: int, seconds: int
) -> str:
    """Write the page and its plot, and tell the page."""
    ratios = {c.name: (results.ratio("32 connections", c), c.ours) for c in contenders}
    bars(RATIO, ratios, DOCS / "performance.svg")
    introduction = INTRODUCTION.format(
        rounds=rounds,
        seconds=seconds,
        date=datetime.now(UTC).date(),
        python=platform.python_version(),
        uvicorn=uvicorn.__version__,
        processors=os.cpu_count(),
        ratio=RATIO,
    )
    kept = [
        [promise.name, f"{promise.figure:.3g}", promise.bound, "yes" if promise.kept else "**no**"]
        for promise in promises(results, figures)
    ]
    held = table(["what has to hold", "figure", "bound", "held"], kept)
    page = "\n".join([introduction, held, costs(figures), rates(results, contenders)])
    (DOCS / "performance.md").write_text(page)
    return page
