"""What must not stand in a text, in whichever dress, and is taken out of it."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from itertools import groupby, takewhile
from operator import itemgetter
from urllib.parse import quote, quote_plus

from app.text import MAX_LENGTH, cut


# What we say ourselves of a secret's file: who mends it has to know which.
FILE = (
    r"(?<=password: )(?=\S*/)\S+ (?:\([A-Z_]+_FILE\) )?"
    r"(?:is missing|is empty|is not (?:a file|UTF-8)|can't be read|holds more than"
    r"|and \S+ both offer it)"
)

# Credentials in a URL, whatever is in them, and what follows a word that announces them. Where a
# text was cut off, their end may be missing.
CREDENTIALS = re.compile(
    rf"(://)\S+(?:@|\u2026\Z)|((?i:bearer |basic |password[\"']? ?[=:] ?(?!{FILE})))\S+"
)

# Characters of a secret from which on its beginning is taken out too, as a text may be cut off;
# a shorter one is taken out as it is and in no other dress, or little would be left of a text.
TELLING = 8


class Redactor:
    """Takes out of texts what looks like credentials, and each secret that was read through it.

    What was not read, nobody was told who could quote it. It is kept and not read again for each
    text: the file may have another name by now, or lie on a share that hangs.

    Args:
        read: reads the secret of a name.

    """

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._words: dict[str, str] = {}

    def read(self, name: str) -> str:
        """Read a secret, and keep it to know it again."""
        word = self._words[name] = self._read(name)
        return word

    def redact(self, text: str) -> str:
        """Take out of a text what should not stand there, and cut it if it is long.

        It is cut first, so that the work does not grow with the text. The last characters before
        the cut are left out: they may be a secret's beginning that is too short to be recognised.
        """
        is_cut = len(text) > MAX_LENGTH
        text = CREDENTIALS.sub(r"\1\2***", cut(text))
        dresses = {dress for word in tuple(self._words.values()) for dress in _worn(word, text)}
        text = _without(dresses, text)
        if not is_cut:
            return text
        text = text.removesuffix("\u2026")
        return f"{text if text.endswith('***') else text[: 1 - TELLING]}\u2026"


def _dresses(secret: str) -> Iterator[str]:
    """Tell how a secret may look where somebody has quoted or encoded it."""
    octets = secret.encode()
    yield from (json.dumps(secret)[1:-1], ascii(secret)[1:-1], repr(secret)[1:-1])
    yield from (ascii(octets)[2:-1], octets.decode("latin-1"), octets.hex(), octets.hex().upper())
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    for encode in (b64encode, urlsafe_b64encode):
        # In the middle of what is encoded, such as `user:password`, it has one of three looks.
        for before, start in enumerate((0, 2, 3)):
            end = (before + len(octets)) * 8 // 6
            yield encode(bytes(before) + octets).decode()[start:end]


def _worn(word: str, text: str) -> set[str]:
    """Return the dresses of a secret, as far as the text can hold any of them.

    None is shorter than the secret itself, so the text holds no more of it than its own length.
    """
    word = word[: len(text) + TELLING]
    return {word, *(dress for dress in _dresses(word) if len(dress) >= TELLING)} - {""}


def _without(dresses: set[str], text: str) -> str:
    """Replace each beginning of a dress in a text, as far as it goes, by asterisks."""
    hidden = bytearray(len(text))
    for dress in dresses:
        at = text.find(dress[:TELLING])
        while at >= 0:
            same = takewhile(lambda pair: pair[0] == pair[1], zip(dress, text[at:], strict=False))
            length = sum(1 for _ in same)
            hidden[at : at + length] = b"*" * length
            at = text.find(dress[:TELLING], at + 1)
    return "".join(
        "***" if is_hidden else "".join(one for one, _ in pairs)
        for is_hidden, pairs in groupby(zip(text, hidden, strict=True), itemgetter(1))
    )
