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
        notes: what is not wrong, but worth a look.

    """

    name: str
    cells: Sequence[str]
    facts: Mapping[str, Any]
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def told(self) -> dict[str, Any]:
        """What a program reads."""
        return {**self.facts, "problems": list(self.problems), "notes": list(self.notes)}


def lines(head: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Write rows in aligned columns, problems and notes below their row."""
    table = [(head, []), *(([row.name, *row.cells], _below(row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*(cells for cells, _ in table), strict=True)]
    for cells, below in table:
        padded = map(str.ljust, cells, widths)
        yield visible(GAP.join(padded).rstrip())
        yield from below


def _below(row: Row) -> list[str]:
    """Return the lines below a row: `!` marks a problem, and `*` a note."""
    marked = [("  ! ", text) for text in row.problems] + [("  * ", text) for text in row.notes]
    return [line for mark, text in marked for line in _wrapped(mark, text)]


def _wrapped(mark: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
