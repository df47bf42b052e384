"""A table for people, and the same facts for programs."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.text import visible


WIDTH = 80
GAP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is known of one thing.

    Attributes:
        cells: the facts as a table shows them, one a column.
        facts: the same for a program.
        problems: what is wrong with it, each with its remedy.

    """

    name: str
    cells: Sequence[str]
    facts: Mapping[str, Any]
    problems: Sequence[str] = ()

    @property
    def told(self) -> dict[str, Any]:
        """What a program reads."""
        return {**self.facts, "problems": list(self.problems)}


def lines(head: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Write rows in aligned columns, each problem below its row."""
    table = [(head, ()), *(([row.name, *row.cells], row.problems) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in table), strict=True)]
    for cells, problems in table:
        padded = map(str.ljust, cells, widths)
        yield visible(GAP.join(padded).rstrip())
        for problem in problems:
            yield from _wrapped(problem)


def _wrapped(problem: str) -> list[str]:
    return textwrap.wrap(
        problem,
        WIDTH,
        initial_indent="  ! ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
