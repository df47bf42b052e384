"""What the members of an HTTP check may be; what is said of a value never holds a part of it."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit


# Asked more often, a check would be a loop without a pause.
LEAST, MOST = 0.01, 86400
SECONDS = f"a number of seconds from {LEAST} to {MOST}"

# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

# Where the request ends is the probe's to say.
FRAMING = {"connection", "content-length", "transfer-encoding", "upgrade"}

SECRET = re.compile(r"secret:([A-Za-z0-9_.-]+)")
NO_SECRET = re.compile(r"secret:([A-Za-z0-9_.-]*[/\\]|(?![A-Za-z0-9_.-]))")


def wrong(members: Any) -> Iterator[tuple[str, str]]:
    """Tell what is wrong with which member of a check, and what to do; "" stands for them all."""
    if not isinstance(members, tuple):
        yield "", 'must be an object like {"url": "http://minio:9000/"}: correct it'
        return
    names = [name for name, _ in members]
    if "url" not in names:
        yield "", "has no url: give it one"
    if len(names) > len(set(names)):
        yield "", "holds a member twice: keep one"
    if set(names) - MEMBERS.keys():
        yield "", f"holds a member that is none of {', '.join(MEMBERS)}: remove it"
    for name, value in members:
        if name in MEMBERS:
            yield from ((name, f"{name} {words}") for words in MEMBERS[name](value))


def _url(value: Any) -> Iterator[str]:
    try:
        # `urlsplit` would drop a line break, and the request take no blank.
        parts = urlsplit(value if re.fullmatch(r"[!-~]+", value) else "")
        host = parts.hostname and parts.hostname.encode("idna")
        sound = parts.scheme in {"http", "https"} and host and parts.port != 0
    except (TypeError, ValueError):
        sound = False
    if not sound:
        yield "must read http://host:port/path or https://host:port/path: correct it"
    elif "@" in parts.netloc:
        yield "holds credentials: put them into a header, as secret:NAME"


def _status(value: Any) -> Iterator[str]:
    if type(value) is not int or value not in range(200, 600):
        yield "must be a whole number from 200 to 599: correct it, or leave it out"


def _seconds(value: Any) -> Iterator[str]:
    if type(value) not in {int, float} or not LEAST <= value <= MOST:
        yield f"must be {SECONDS}: correct it, or leave it out"


def _headers(value: Any) -> Iterator[str]:
    if not isinstance(value, tuple):
        yield 'must be an object like {"x-key": "secret:NAME"}: correct it, or leave it out'
        return
    earlier = set[str]()
    for place, (name, text) in enumerate(value, 1):
        if not TOKEN.fullmatch(name):
            yield f"must have names of letters, digits and -: correct that of number {place}"
        if name.lower() in FRAMING:
            yield f"must leave {', '.join(sorted(FRAMING))} to the probe: remove number {place}"
        if name.lower() in earlier:
            yield f"must have each name once: remove number {place}"
        if not isinstance(text, str) or not text.isprintable() or text != text.strip():
            yield f"must have values of printable text: correct that of number {place}"
        elif NO_SECRET.search(text):
            yield f"must name a secret's file after secret: and no path: correct number {place}"
        earlier.add(name.lower())


MEMBERS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "url": _url,
    "expect": _status,
    "headers": _headers,
    "interval": _seconds,
    "timeout": _seconds,
}
