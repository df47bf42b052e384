"""The HTTP services to check, parsed from `HTTP_CHECKS`. No message contains a value.

A Pydantic model would be as long: duplicate keys, several problems in one value and a target that
keeps its valid members need the same code, and each message its own text.
"""

import json
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit


# A shorter interval would make a check a loop without a pause.
MIN_SECONDS, MAX_SECONDS = 0.01, 86400
SECONDS_RANGE = f"a number of seconds from {MIN_SECONDS} to {MAX_SECONDS}"

# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

# Headers that decide where the request ends. The probe sets them.
FRAMING = ("connection", "content-length", "transfer-encoding", "upgrade")

SECRET = re.compile(r"secret:([A-Za-z0-9_.-]+)")
INVALID_SECRET = re.compile(r"secret:([A-Za-z0-9_.-]*[/\\]|(?![A-Za-z0-9_.-]))")

OPTIONAL_REMEDY = "Correct it or remove it."


def _url_problems(value: Any) -> Iterator[str]:
    try:
        # `urlsplit` removes line breaks, and a space would end the path in the request.
        parts = urlsplit(value if re.fullmatch(r"[!-~]+", value) else "")
        host = parts.hostname and parts.hostname.encode("idna")
        is_valid = parts.scheme in {"http", "https"} and host and parts.port != 0
    except (TypeError, ValueError):
        is_valid = False
    if not is_valid:
        yield "must have the form http://host:port/path or https://host:port/path. Correct it."
    elif "@" in parts.netloc:
        yield "contains credentials. Put them in a header, as secret:NAME."


def _status_problems(value: Any) -> Iterator[str]:
    if type(value) is not int or value not in range(200, 600):
        yield f"must be a whole number from 200 to 599. {OPTIONAL_REMEDY}"


def _seconds_problems(value: Any) -> Iterator[str]:
    if type(value) not in {int, float} or not MIN_SECONDS <= value <= MAX_SECONDS:
        yield f"must be {SECONDS_RANGE}. {OPTIONAL_REMEDY}"


def _headers_problems(value: Any) -> Iterator[str]:
    if not isinstance(value, tuple):
        yield f'must be an object such as {{"x-key": "secret:NAME"}}. {OPTIONAL_REMEDY}'
        return
    earlier = set[str]()
    for number, (name, text) in enumerate(value, 1):
        if not TOKEN.fullmatch(name):
            yield f"number {number} must have a name of letters, digits and -. Correct it."
        if name.lower() in FRAMING:
            yield f"number {number} is one of {', '.join(FRAMING)}. Remove it: the probe sets them."
        if name.lower() in earlier:
            yield f"number {number} repeats the name of another header. Remove it."
        if not isinstance(text, str) or not text.isprintable() or text != text.strip():
            yield f"number {number} must have a value of printable text. Correct it."
        elif INVALID_SECRET.search(text):
            yield f"number {number} must have a file name without a path after secret:. Correct it."
        earlier.add(name.lower())


MEMBERS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "url": _url_problems,
    "expect": _status_problems,
    "headers": _headers_problems,
    "interval": _seconds_problems,
    "timeout": _seconds_problems,
}


# With these bounds every answer but the page stays below 10 KB, PostgreSQL and Redis included.
NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
MAX_CHECKS = 30

RESERVED_NAMES = ("postgres", "redis")

# A JSON object as pairs, so that a key that occurs twice is found.
Pairs = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """An HTTP service to check.

    Attributes:
        headers: `secret:NAME` in a value stands for the content of that secret's file.
        interval: seconds, or None for the general interval.
        timeout: seconds, or None for the general timeout.
    """

    name: str
    url: str = ""
    expect: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    interval: float | None = None
    timeout: float | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the secrets in its headers."""
        return frozenset(name for _, value in self.headers for name in SECRET.findall(value))

    def filled(self, secret: Callable[[str], str]) -> dict[str, str]:
        """Return the headers with the content of each secret, which *secret* reads by its name."""
        return {
            name: SECRET.sub(lambda found: secret(found[1]), value) for name, value in self.headers
        }


@lru_cache(maxsize=1)
def parse_http_checks(text: str) -> tuple[tuple[HttpTarget, ...], tuple[str, ...]]:
    """Parse the targets.

    Returns:
        The targets, and every problem with its remedy. A target has the default for a member that
        is wrong, so that the rest of it can be used. One with a wrong name is left out.
    """
    try:
        checks = _parse_json(text or "{}")
    except ValueError as error:
        return (), (f"HTTP_CHECKS: {error}",)
    targets = dict[str, HttpTarget]()
    problems = list[str]()
    for number, (name, members) in enumerate(checks, 1):
        found = [*_name_problems(name, targets), *_member_problems(members)]
        label = name if NAME.fullmatch(name) else f"check {number}"
        problems += [f"HTTP_CHECKS: {label}: {problem}" for _, problem in found]
        targets.setdefault(name, _build_target(name, members, {member for member, _ in found}))
    valid = tuple(target for name, target in targets.items() if not [*_name_problems(name)])
    return valid, tuple(problems)


def _parse_json(text: str) -> Pairs:
    try:
        checks = json.loads(text, object_pairs_hook=tuple)
    except json.JSONDecodeError as error:
        msg = f"invalid JSON at line {error.lineno}, column {error.colno}. Correct it."
        raise ValueError(msg) from None
    except (ValueError, RecursionError):
        msg = "a number is too long, or the nesting is too deep. Correct it."
        raise ValueError(msg) from None
    msg = 'must be an object such as {"minio": {"url": "http://minio:9000/"}}. Correct it.'
    if isinstance(checks, tuple):
        if len(checks) <= MAX_CHECKS:
            return checks
        msg = f"has {len(checks)} checks. Keep at most {MAX_CHECKS}, and move others to another "
        msg += "instance."
    raise ValueError(msg)


def _name_problems(name: str, others: Container[str] = ()) -> Iterator[tuple[str, str]]:
    if not NAME.fullmatch(name):
        rule = "at most 32 of a-z, 0-9, _ and -, and begin with a letter"
        yield "", f"the name must have {rule}. Rename it."
    if name in RESERVED_NAMES or name in others:
        yield "", "the name is in use. Rename it."


def _member_problems(members: Any) -> Iterator[tuple[str, str]]:
    """Yield each problem with the name of its member, which is "" for a problem of the check."""
    if not isinstance(members, tuple):
        yield "", 'must be an object such as {"url": "http://minio:9000/"}. Correct it.'
        return
    names = [name for name, _ in members]
    if "url" not in names:
        yield "", "has no url. Add one."
    if len(names) > len(set(names)):
        yield "", "has a member twice. Keep one."
    if set(names) - MEMBERS.keys():
        yield "", f"has a member other than {', '.join(MEMBERS)}. Remove it."
    for name, value in members:
        if name in MEMBERS:
            yield from ((name, f"{name} {problem}") for problem in MEMBERS[name](value))


def _build_target(name: str, members: Any, wrong: Container[str]) -> HttpTarget:
    pairs = members if isinstance(members, tuple) else ()
    valid = {key: value for key, value in pairs if key in MEMBERS and key not in wrong}
    return HttpTarget(name, **valid)
