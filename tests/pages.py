"""What README.md, docs/ and secrets/ show between fences, to be run as it stands there."""

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.service import ROOT


FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("secrets/*.md")]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(FILES)}

# Before any environment was made: `make` would make another one for what is newer.
LONG_AGO = 1_000_000_000

# A heading, or a block with the comment above it: one within a block is a comment of a shell's.
_PART = re.compile(
    r"^#+ (?P<heading>[^\n]*)$"
    r"|(?:^<!-- (?P<said>[^\n]*) -->\n)?^(?P<fence>```)(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two fences.

    Attributes:
        place: the page and the line of its first fence.
        heading: the nearest one above it.
        said: the comment above it: who runs it, or why nobody does.

    """

    place: str
    heading: str
    said: str
    language: str
    text: str

    @property
    def exchanges(self) -> list[tuple[str, str]]:
        """Each command that somebody types, and what comes of it."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(command, told) for command, _, told in (part.partition("\n") for part in parts)]


def blocks(page: str, text: str | None = None) -> Iterator[Block]:
    """Read the blocks of a page, from the top."""
    text = PAGES[page] if text is None else text
    heading = ""
    for part in _PART.finditer(text):
        if part["fence"]:
            place = f"{page}:{text.count(chr(10), 0, part.start('fence')) + 1}"
            yield Block(place, heading, part["said"] or "", part["language"], part["text"])
        else:
            heading = part["heading"]


def shown(page: str, heading: str) -> list[Block]:
    """Those below one heading: there is one at least."""
    found = [block for block in blocks(page) if block.heading == heading]
    assert found, f"{page} shows nothing below {heading}"
    return found


def alike(shown: str, told: str) -> bool:
    """Whether an answer is the one that is shown, but for figures, blanks and what `...` spares."""
    pattern = re.escape(_blurred(shown)).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, _blurred(told)) is not None


def furnish(folder: Path) -> None:
    """Give a checkout the environment that the tests have, which `make` takes for its own then."""
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("pyproject.toml", "requirements/development.txt"):
        os.utime(folder / name, (LONG_AGO, LONG_AGO))


def _blurred(text: str) -> str:
    return " ".join(re.sub(r"\d+(\.\d+)?", "0", text).split())
