"""Figures in configuration files, each with its file and line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.probe_config import Rule
from tests.support.service import ROOT


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in a file. Its place has the form FILE:LINE."""

    text: str
    place: str

    @property
    def seconds(self) -> float:
        """The figure in seconds. It may be `500ms`, `10s`, `1m` or a number of seconds."""
        number, unit = re.fullmatch(r"([0-9.]+)(ms|s|m|)", self.text).groups()  # type: ignore[union-attr]
        return float(number) * {"ms": 0.001, "s": 1, "m": 60, "": 1}[unit]


def figure(file: Path | str, pattern: str, after: str = "") -> Figure:
    """Return the group of a pattern in a file. A relative path begins in this checkout.

    Args:
        after: a pattern that must match before it.
    """
    text = (ROOT / file).read_text()
    begin = re.search(after, text, re.MULTILINE)
    assert begin, f"{file}: no match for {after!r}"
    found = re.compile(pattern, re.MULTILINE).search(text, begin.end())
    assert found, f"{file}: no match for {pattern!r}"
    return Figure(found[1], f"{file}:{text.count(chr(10), 0, found.start(1)) + 1}")


def broken(rules: Iterable[Rule], places: dict[str, Figure]) -> list[str]:
    """Return place and remedy of each broken rule. *places* has the rules' fields as keys."""
    return [f"{places[rule.field].place}: {rule.remedy}" for rule in rules if not rule.holds]
