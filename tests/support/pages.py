"""The fenced blocks of the Markdown pages, which tests run as they are."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.service import ROOT


FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("secrets/*.md")]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(FILES)}

# A modification time before that of the environment, which `make` would otherwise rebuild.
LONG_AGO = 1_000_000_000

# A heading, or a block with the comment above it. A `#` within a block is no heading.
_PART = re.compile(
    r"^#+ (?P<heading>[^\n]*)$"
    r"|(?:^<!-- (?P<comment>[^\n]*) -->\n)?^(?P<fence>```)(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        place: the page, and the line of the opening fence.
        heading: the nearest one above it.
        comment: the comment above it, which names the test that runs it or says why none does.
    """

    place: str
    heading: str
    comment: str
    language: str
    text: str

    @property
    def exchanges(self) -> list[tuple[str, str]]:
        """Each command after a `$`, with the output shown below it."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [
            (command, output) for command, _, output in (part.partition("\n") for part in parts)
        ]


def blocks(page: str, text: str | None = None) -> Iterator[Block]:
    """Yield the blocks of a page."""
    text = PAGES[page] if text is None else text
    heading = ""
    for part in _PART.finditer(text):
        if part["fence"]:
            place = f"{page}:{text.count(chr(10), 0, part.start('fence')) + 1}"
            yield Block(place, heading, part["comment"] or "", part["language"], part["text"])
        else:
            heading = part["heading"]


def shown(page: str, heading: str) -> list[Block]:
    """Return the blocks below a heading, at least one."""
    found = [block for block in blocks(page) if block.heading == heading]
    assert found, f"{page} shows nothing below {heading}"
    return found


def alike(shown: str, actual: str) -> bool:
    """Return whether an output matches the shown one, except for numbers, spaces and `...`."""
    pattern = re.escape(_normalize(shown)).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, _normalize(actual)) is not None


def furnish(folder: Path) -> None:
    """Link the tests' virtual environment into a checkout, so that `make` does not build one."""
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("pyproject.toml", "requirements/development.txt"):
        os.utime(folder / name, (LONG_AGO, LONG_AGO))


def _normalize(text: str) -> str:
    return " ".join(re.sub(r"\d+(\.\d+)?", "0", text).split())
