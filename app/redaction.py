"""What must not stand in a text, in whichever dress, and is taken out of it."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from app.secrets import Secret, SecretError


# Credentials in a URL, and what follows a word that announces them.
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@|(?i:(?<=bearer )|(?<=basic )|(?<=password=))\S+")

# Characters of a secret from which on its beginning is taken out too, as a text may be cut off;
# a shorter one is taken out as it is and in no other dress, or little would be left of a text.
TELLING = 8


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Take out of a text what looks like credentials, and every secret that can be read."""
    text = CREDENTIALS.sub("***", text)
    for secret in secrets:
        try:
            word = secret.read()
        except SecretError:
            continue
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
