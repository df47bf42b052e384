"""What looks wrong with a secret: hints for people, as any text may be meant."""

import contextlib
import re
from base64 import b64decode
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator


BOM = "\ufeff"
QUOTES = {'""', "''", "``", "\u201c\u201d", "\u2018\u2019"}
BLANK = "begins or ends with a blank or a line break, which is part of it: remove it"

# As a line of an environment file reads; names are shorter than this.
ASSIGNMENT = re.compile(
    r"(?i)(?:export\s+)?[a-z0-9_.-]*(?:password|passwd|secret|token|key|user)[a-z0-9_.-]*\s*[=:]\s*\S"
)
LONGEST_NAME = 100

# A shorter text may decode to another one by chance.
SHORTEST_BASE64 = 12


def hints(text: str) -> list[str]:
    """Return what may be wrong with a secret, a phrase each that its file's name goes before."""
    return list(_hints(text))


def undecodable(data: bytes) -> str:
    """Return what is wrong with a file that is not UTF-8, with the remedy."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "is not UTF-8, but looks like UTF-16: save it as UTF-8"
    return "is not UTF-8: write it again as text"


def _hints(text: str) -> Iterator[str]:
    if text.startswith(BOM):
        yield "begins with a byte order mark: save it as UTF-8 without one"
    text = text.removeprefix(BOM)
    core = text.strip()
    if "\0" in text:
        yield "holds NUL characters, as UTF-16 does: save it as UTF-8"
    elif not "".join(text.split()).isprintable():
        yield "holds a character that is not printable: write it again"
    if core != text:
        yield BLANK
    if len(core.splitlines()) > 1:
        yield "has more than one line: keep the one that is meant"
    if len(core) > 1 and core[0] + core[-1] in QUOTES:
        yield "stands in quotes, which are part of it: remove them"
    if ASSIGNMENT.match(core[:LONGEST_NAME]):
        yield "reads like NAME=value: keep the value alone"
    if _is_encoded_text(core):
        yield "looks like a text in base64: write that text itself"


def _is_encoded_text(core: str) -> bool:
    """Return whether base64 of a text stands there; that of random bytes is as good as any."""
    if len(core) < SHORTEST_BASE64:
        return False
    with contextlib.suppress(ValueError):
        return b64decode(core, validate=True).decode("ascii").strip().isprintable()
    return False
