"""`python -m benchmarks.fleet`: what a fleet costs what it shares, and what befalls both."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from benchmarks.simulation import database, tables
from benchmarks.simulation.drawing import ready
from benchmarks.simulation.instances import setting
from benchmarks.simulation.stories import SEED, Fault, outage


DOCS = Path(__file__).parent.parent / "docs"
TEXT = Template((Path(__file__).parent / "simulation" / "scaling.md").read_text())


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay figures out, after a first column of names."""
    lines = [list(heads), ["---", *["---:"] * (len(heads) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Simulate everything, draw it and write the page."""
    print(f"seed {SEED}: the same seed makes the same page", file=sys.stderr)
    judged = [tables.words(changes) for changes in tables.JUDGED]
    herds = {tables.words(changes): tables.herd(changes) for changes in tables.HERDS}
    runs = {
        tables.words(changes): outage(setting(**changes), tables.SOME, Fault(10), 15)
        for changes in tables.JUDGED
    }
    ready("seconds since the outage began", runs, 25, DOCS / "scaling-outage.svg")
    ready("seconds since the outage began", herds, 50, DOCS / "scaling-herd.svg")
    each = ["connections", "statements/s", "new/s"]
    page = TEXT.substitute(
        seed=SEED,
        model=len(Path(database.__file__).read_text().splitlines()),
        many=f"{tables.MANY:,}",
        some=f"{tables.SOME:,}",
        accepts=tables.ACCEPTS,
        asked=table(
            ["", *(f"{size:,}: {what}" for size in tables.SIZES for what in each)], tables.asked()
        ),
        proportion=table(["instances", *each], tables.proportion()),
        spread=table(["seconds after they started", "with jitter", "without"], tables.spread()),
        failed=table(["the database", *judged], [*tables.failed(), tables.flapped()]),
        herds=table(["", "asked for a second", "all back after, s"], tables.herds(herds)),
        recommended=table(
            [
                "instances",
                "set",
                *each,
                "asked for in an outage/s",
                "let in/s",
                "back, s",
                "told within, s",
            ],
            tables.recommended(),
        ),
    )
    (DOCS / "scaling.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
