"""Figures as files have them, each with the file and the line to mend."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.probe_config import Rule
from tests.service import ROOT


@dataclass(frozen=True, slots=True)
class Figure:
    """What a file says, and where: `place` is what an editor opens."""

    text: str
    place: str

    @property
    def seconds(self) -> float:
        """How many seconds it says: `500ms`, `10s`, `1m` or a bare number of seconds."""
        number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m|)", self.text).groups()  # type: ignore[union-attr]
        return float(number) * {"ms": 0.001, "s": 1, "m": 60, "": 1}[unit]


def figure(file: str, pattern: str, after: str = "") -> Figure:
    """Find the one group of a pattern in a file of this checkout.

    Args:
        after: a pattern that comes before it, to tell alike ones apart.

    """
    return find(ROOT / file, pattern, after)


def find(file: Path, pattern: str, after: str = "") -> Figure:
    """Find the one group of a pattern in any file."""
    text = file.read_text()
    begin = re.search(after, text, re.MULTILINE)
    assert begin, f"{file}: nothing reads {after!r}"
    found = re.compile(pattern, re.MULTILINE).search(text, begin.end())
    assert found, f"{file}: nothing reads {pattern!r}"
    name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
    return Figure(found[1], f"{name}:{text.count(chr(10), 0, found.start(1)) + 1}")


def broken(rules: Iterable[Rule], places: dict[str, Figure]) -> list[str]:
    """Tell the line to mend of each rule that does not hold; *places* is by the rule's term."""
    return [f"{places[rule.term].place}: {rule.remedy}" for rule in rules if not rule.holds]
