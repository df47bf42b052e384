"""Removal of secrets and credentials from a text, even if they are quoted, encoded or cut off."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from itertools import groupby, takewhile
from operator import itemgetter
from urllib.parse import quote, quote_plus, unquote

from app.checks.secret_url import QUERY_PASSWORD
from app.text import MAX_LENGTH, cut


# Our own messages about a secret's file keep its path: the operator has to know which file to fix.
FILE = (
    r"(?<=password: )(?=\S*/)\S+ (?:\([A-Z_]+_FILE\) )?"
    r"(?:is missing|is empty|is not (?:a file|UTF-8)|can't be read|holds more than"
    r"|and \S+ both offer it)"
)

# The user info of a URL, and the word that follows a name such as `password`. Their end may be
# missing where the text was cut off.
CREDENTIALS = re.compile(
    rf"(://)\S+(?:@|\u2026\Z)|((?i:bearer |basic |password[\"']? ?[=:] ?(?!{FILE})))\S+"
)

# A prefix of a secret that has at least so many characters is removed too, because a text may be
# truncated. Of a shorter secret only the whole is removed, and no encoding: too much would match.
MIN_PREFIX = 8


# The authority of a URL, and the rest of it.
URL = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)


def sensitive_parts(secret: str) -> list[str]:
    """Return what no text may contain: a secret, or the secret parts of a URL.

    These are its password, and its path and query, which may contain a token. Operators may know
    the host, and each URL begins with the same characters as others.
    """
    authority, rest = found.groups() if (found := URL.fullmatch(secret)) else ("", "")
    password = authority.rpartition("@")[0].partition(":")[2]
    passwords = [password, *QUERY_PASSWORD.findall(rest)]
    parts = [*passwords, *map(unquote, passwords), rest if len(rest) >= MIN_PREFIX else ""]
    return [part for part in parts if part] or [secret]


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text with credentials and secrets replaced by `***`, cut if it is long.

    The text is cut first, so that the work does not grow with it. The last characters before the
    cut are removed: they may be the beginning of a secret, too short to be recognized.
    """
    is_cut = len(text) > MAX_LENGTH
    text = CREDENTIALS.sub(r"\1\2***", cut(text))
    patterns = {pattern for secret in secrets for pattern in _patterns(secret, text)}
    text = _replace(patterns, text)
    if not is_cut:
        return text
    text = text.removesuffix("\u2026")
    return f"{text if text.endswith('***') else text[: 1 - MIN_PREFIX]}\u2026"


def _patterns(secret: str, text: str) -> set[str]:
    """Return the secret and its encodings, as far as the text can contain them.

    No encoding is shorter than the secret, so the text contains no more of it than its own length.
    """
    secret = secret[: len(text) + MIN_PREFIX]
    encodings = (one for one in _encodings(secret) if len(one) >= MIN_PREFIX)
    return {secret, *encodings} - {""}


def _encodings(secret: str) -> Iterator[str]:
    """Yield the forms that a secret takes where it is quoted or encoded."""
    octets = secret.encode()
    yield from (json.dumps(secret)[1:-1], ascii(secret)[1:-1], repr(secret)[1:-1])
    yield from (ascii(octets)[2:-1], octets.decode("latin-1"), octets.hex(), octets.hex().upper())
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    for encode in (b64encode, urlsafe_b64encode):
        # Inside a longer text such as `user:password`, base64 of the secret has one of three forms.
        for before, start in enumerate((0, 2, 3)):
            end = (before + len(octets)) * 8 // 6
            yield encode(bytes(before) + octets).decode()[start:end]


def _replace(patterns: set[str], text: str) -> str:
    """Replace each prefix of a pattern that has at least MIN_PREFIX characters."""
    hidden = bytearray(len(text))
    for pattern in patterns:
        at = text.find(pattern[:MIN_PREFIX])
        while at >= 0:
            pairs = zip(pattern, text[at:], strict=False)
            length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            hidden[at : at + length] = b"*" * length
            at = text.find(pattern[:MIN_PREFIX], at + 1)
    return "".join(
        "***" if is_hidden else "".join(character for character, _ in group)
        for is_hidden, group in groupby(zip(text, hidden, strict=True), itemgetter(1))
    )
