"""The HTTP services to watch, as far as `HTTP_CHECKS` is accepted; no message holds a value."""

import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


# Asked more often, a check would be a loop without a pause.
MIN_SECONDS, MAX_SECONDS = 0.01, 86400
SECONDS_RANGE = f"a number of seconds from {MIN_SECONDS} to {MAX_SECONDS}"

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
    if type(value) not in {int, float} or not MIN_SECONDS <= value <= MAX_SECONDS:
        yield f"must be {SECONDS_RANGE}: correct it, or leave it out"


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


# With these bounds every answer that is no page stays under 10 KB, the stores' checks included.
NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
NAMES = "of a-z, 0-9, _ and - that begins with a letter and has 32 at most"
MAX_CHECKS = 30

TAKEN = ("postgres", "redis")

Pairs = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """An HTTP service to watch, and on what terms.

    Attributes:
        headers: `secret:NAME` within a value stands for what that secret's file holds.
        interval: seconds; None for those of every check.
        timeout: as interval.

    """

    name: str
    url: str = ""
    expect: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    interval: float | None = None
    timeout: float | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the secrets that its headers need."""
        return frozenset(name for _, value in self.headers for name in SECRET.findall(value))

    def filled(self, secret: Callable[[str], str]) -> dict[str, str]:
        """Give the headers with each secret in its place, read by its name."""
        return {
            name: SECRET.sub(lambda found: secret(found[1]), value) for name, value in self.headers
        }


def read_http_checks(text: str) -> tuple[list[HttpTarget], list[str]]:
    """Read the targets, and what is wrong with them: a line a problem, with its remedy.

    What is wrong is left at its default, so that everything else can be judged as well; a check
    whose name can't be used is left out.
    """
    try:
        checks = _parsed(text or "{}")
    except ValueError as error:
        return [], [f"HTTP_CHECKS {error}"]
    targets = dict[str, HttpTarget]()
    problems = list[str]()
    for place, (name, members) in enumerate(checks, 1):
        found = [*_misnamed(name, targets), *wrong(members)]
        called = name if NAME.fullmatch(name) else f"check {place}"
        problems += [f"HTTP_CHECKS {called}: {words}" for _, words in found]
        targets.setdefault(name, _target(name, members, {member for member, _ in found}))
    return [target for name, target in targets.items() if not [*_misnamed(name)]], problems


def _parsed(text: str) -> Pairs:
    try:
        # Objects become tuples of pairs, so that a name which stands twice is seen.
        checks = json.loads(text, object_pairs_hook=tuple)
    except json.JSONDecodeError as error:
        msg = f"is not JSON from line {error.lineno}, column {error.colno} on: correct it"
        raise ValueError(msg) from None
    except (ValueError, RecursionError):
        msg = "holds too long a number or is nested too deep: correct it"
        raise ValueError(msg) from None
    msg = 'must be an object like {"minio": {"url": "http://minio:9000/"}}: correct it'
    if isinstance(checks, tuple):
        if len(checks) <= MAX_CHECKS:
            return checks
        most = f"keep {MAX_CHECKS} at most, and give others to another instance"
        msg = f"holds {len(checks)} checks: {most}"
    raise ValueError(msg)


def _misnamed(name: str, others: Container[str] = ()) -> Iterator[tuple[str, str]]:
    if not NAME.fullmatch(name):
        yield "", f"must have a name {NAMES}: rename it"
    if name in TAKEN or name in others:
        yield "", "has a name that is taken: rename it"


def _target(name: str, members: Any, unfit: Container[str]) -> HttpTarget:
    pairs = members if isinstance(members, tuple) else ()
    fit = {key: value for key, value in pairs if key in MEMBERS and key not in unfit}
    return HttpTarget(name, **fit)
