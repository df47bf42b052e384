"""`python -m benchmarks.fleet`: simulates a fleet on a shared database, and writes the page."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from benchmarks.simulation import database, tables
from benchmarks.simulation.drawing import draw
from benchmarks.simulation.instances import make_settings
from benchmarks.simulation.stories import SEED, Fault, outage


DOCS = Path(__file__).parent.parent / "docs"
TEXT = Template((Path(__file__).parent / "simulation" / "scaling.md").read_text())


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose first column has names."""
    lines = [list(heads), ["---", *["---:"] * (len(heads) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Simulate all scenarios, draw the charts and write the page."""
    print(f"seed {SEED}: the same seed gives the same page", file=sys.stderr)
    settings = [tables.describe(changes) for changes in tables.OUTAGE_SETTINGS]
    recoveries = {
        tables.describe(changes): tables.recovery(changes) for changes in tables.RECOVERY_SETTINGS
    }
    runs = {
        tables.describe(changes): outage(make_settings(**changes), tables.SOME, Fault(10), 15)
        for changes in tables.OUTAGE_SETTINGS
    }
    draw("seconds since the start of the outage", runs, 25, DOCS / "scaling-outage.svg")
    draw("seconds since the start of the outage", recoveries, 50, DOCS / "scaling-herd.svg")
    each = ["connections", "statements/s", "new/s"]
    page = TEXT.substitute(
        seed=SEED,
        model=len(Path(database.__file__).read_text().splitlines()),
        many=f"{tables.MANY:,}",
        some=f"{tables.SOME:,}",
        accepts=tables.ACCEPTS,
        load=table(
            ["", *(f"{size:,}: {what}" for size in tables.SIZES for what in each)], tables.load()
        ),
        proportion=table(["instances", *each], tables.proportion()),
        spread=table(["seconds after the start", "with jitter", "without"], tables.spread()),
        outages=table(["database", *settings], [*tables.outages(), tables.flapping()]),
        recoveries=table(
            ["", "connection attempts/s", "recovered after, s"], tables.recoveries(recoveries)
        ),
        recommended=table(
            [
                "instances",
                "settings",
                *each,
                "attempts in an outage/s",
                "accepted/s",
                "recovered after, s",
                "reported within, s",
            ],
            tables.recommended(),
        ),
    )
    (DOCS / "scaling.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
