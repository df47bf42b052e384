"""What must not stand in a text, in whichever dress, and is taken out of it."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus


# What we say ourselves of a secret's file: who mends it has to know which.
FILE = (
    r"(?<=password: )(?=\S*/)\S+ "
    r"(?:is missing|is empty|is not (?:a file|UTF-8)|can't be read|and \S+ both offer it)"
)

# Credentials in a URL, whatever is in them, and what follows a word that announces them.
CREDENTIALS = re.compile(
    rf"(://)\S{{1,300}}@|((?i:bearer |basic |password[\"']? ?[=:] ?(?!{FILE})))\S+"
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
        """Take out of a text what should not stand there."""
        text = CREDENTIALS.sub(r"\1\2***", text)
        for word in tuple(self._words.values()):
            dresses = {word, *(dress for dress in _dresses(word) if len(dress) >= TELLING)}
            for piece in sorted(_pieces(dresses, text), key=len, reverse=True):
                text = text.replace(piece, "***")
        return text


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


def _pieces(dresses: Iterable[str], text: str) -> set[str]:
    """Tell the beginnings of what is in a text, each whole one among them."""
    return {
        dress[:end]
        for dress in dresses
        if dress[:TELLING] in text
        for end in range(min(len(dress), TELLING), len(dress) + 1)
    }
