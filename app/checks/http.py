"""The check of an HTTP service: one GET request over a new connection."""

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from app.checks.connection import BoundedConnection
from app.checks.errors import CredentialError, ProtocolError, read_credential
from app.checks.kind import SECRET_NAME, CheckSpec, Kind, Resources, TlsOptions
from app.checks.network import BlockingCall, Dialer, Stage, enter_stage, explain_network
from app.checks.tls import TrustStore
from app.checks.urls import ensure, split_url
from app.health import Facts, Reason, UnexpectedAnswerError


# The User-Agent header, which shows in the service's access log.
USER_AGENT = "vitals"

# Every response starts with this. Anything else is refused before its first line is complete.
RESPONSE_START = b"HTTP/"
STATUS_LINE = re.compile(rb"HTTP/1\.[0-9][ \t]+([1-9][0-9]{2})(?:[ \t].*)?\r?\n")

# The end of the headers. The headers themselves are not parsed: servers write them in many ways.
BLANK_LINE = re.compile(rb"\r?\n\r?\n")
BLANK_LINE_OVERLAP = 3

# Characters that are not allowed in a header, https://www.rfc-editor.org/rfc/rfc9110#section-5.5
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

FINAL_STATUSES = range(200, 600)
STATUS_CLASSES = {f"{first}xx": range(first * 100, first * 100 + 100) for first in range(2, 6)}

PORTS = {"http": 80, "https": 443}

FORM = "must have the form http://host:port/path or https://host:port/path. Correct it."

# The zone of an IPv6 address means nothing to the server.
# https://www.rfc-editor.org/rfc/rfc6874#section-4
ZONE = re.compile(r"%[^]]*(?=\])")

# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

# Headers that decide where the request ends. The probe sets them.
FRAMING = ("connection", "content-length", "transfer-encoding", "upgrade")

SECRET = re.compile(f"secret:({SECRET_NAME})")
INVALID_SECRET = re.compile(r"secret:([A-Za-z0-9_.-]*[/\\]|(?![A-Za-z0-9_.-]))")


def parse_http_url(text: str, place: str = "Put them in a header, as secret:NAME.") -> str:
    """Return a valid URL, or raise a ValueError with the remedy: for credentials, *place*."""
    parts = split_url(text, FORM)
    ensure(parts.scheme in PORTS, FORM)
    ensure("@" not in parts.netloc, f"contains credentials. {place}")
    return text


def parse_headers(value: Any) -> Any:
    """Return valid headers, or raise a ValueError with a line for each problem."""
    msg = 'must be an object such as {"x-key": "secret:NAME"}. Correct it or remove it.'
    ensure(isinstance(value, dict), msg)
    if problems := "\n".join(_header_problems(value)):
        raise ValueError(problems)
    return dict(value)


def _header_problems(headers: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems. A number stands for a header: its name or its value may be a secret."""
    earlier = set[str]()
    for number, (name, text) in enumerate(headers.items(), 1):
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


def parse_statuses(value: Any) -> Any:
    """Return the statuses of `204`, `"2xx"` or `["2xx", 404]`; none if a part of it is wrong."""
    parts = list(map(_statuses, value if isinstance(value, list) else [value]))
    return frozenset[int]().union(*parts) if all(parts) else frozenset()


def _statuses(value: Any) -> Collection[int]:
    if isinstance(value, str):
        return STATUS_CLASSES.get(value, ())
    return {value} if type(value) is int and value in FINAL_STATUSES else ()


def _format_statuses(statuses: frozenset[int]) -> str:
    """Return statuses as `expect` spells them: `200`, or `2xx or 404`."""
    classes = {name: known for name, known in STATUS_CLASSES.items() if statuses.issuperset(known)}
    others = sorted(statuses.difference(*classes.values()))
    return " or ".join([*classes, *map(str, others)])


EXPECT: Any = Field(
    min_length=1,
    description='a status from 200 to 599, a class such as "2xx", or a list of both',
)


class HttpOptions(TlsOptions):
    """The options of an HTTP check.

    Attributes:
        expect: the statuses that pass.
        headers: `secret:NAME` in a value stands for the secret.
    """

    url: Annotated[str, AfterValidator(parse_http_url)] = ""
    expect: Annotated[frozenset[int], BeforeValidator(parse_statuses), EXPECT] = frozenset({200})
    headers: Annotated[dict[str, str], BeforeValidator(parse_headers)] = Field(default_factory=dict)

    def secret_names(self, name: str) -> frozenset[str]:
        """Return the names of the secrets in the headers."""
        del name
        return frozenset(found for text in self.headers.values() for found in SECRET.findall(text))

    def resolve_headers(self, read_secret: Callable[[str], str]) -> dict[str, str]:
        """Return the headers with the secrets."""
        return {
            name: SECRET.sub(lambda found: read_secret(found[1]), text)
            for name, text in self.headers.items()
        }


class StatusError(UnexpectedAnswerError):
    """The response has a status that is not expected."""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Sends a GET request, reads the headers of the response, and closes the connection.

    To reuse the connection, the probe would have to read the body, which may have no end. A new one
    also tests name resolution, TLS and the secrets in the headers, and can't have died idle.

    Attributes:
        request: the request, or what returns it with the current secrets in its headers.
        host: the host that the server's certificate must name.
        trust: the servers to trust; None without TLS.
    """

    dialer: Dialer
    request: bytes | BlockingCall[bytes]
    expect: frozenset[int]
    host: str
    trust: TrustStore | None

    async def __call__(self) -> None:
        """Send a request and compare the status with the expected ones. Redirects aren't followed.

        Raises:
            StatusError: the status is not expected.
            CredentialError: a secret can't be read or can't be sent.
            ProtocolError: the response is not HTTP, or too long.
            OSError, EOFError: the network or TLS (`ssl.SSLError`) failed.
        """
        self.dialer.timeout_reason = Reason.TIMEOUT
        request = self.request if isinstance(self.request, bytes) else await self.request()
        context = await self.trust.context() if self.trust else None
        connection = await BoundedConnection.open(self.dialer)
        try:
            if context:
                await connection.start_tls(context, self.host)
            enter_stage(Stage.QUERY)
            connection.write(request)
            status = HTTPStatus.CONTINUE.value
            while status < HTTPStatus.OK:  # an interim response, such as 103 Early Hints
                status = await _read_status(connection)
        finally:
            connection.abort()
        if status not in self.expect:
            raise StatusError(f"got {status}, expected {_format_statuses(self.expect)}")

    def facts(self) -> Facts:
        """Return when the server's certificate expires."""
        return Facts(certificate=self.dialer.certificate)

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        return explain_http(error, self.dialer)


def explain_http(error: BaseException, dialer: Dialer) -> Reason:
    """Return the reason for an unexpected status, or for an error of the network."""
    if isinstance(error, StatusError):
        return Reason.HTTP_STATUS
    return explain_network(error, dialer)


async def _read_status(connection: BoundedConnection) -> int:
    connection.count_frames()
    start = await connection.read(len(RESPONSE_START))
    if start == RESPONSE_START:
        head = start + await connection.read_until(BLANK_LINE, BLANK_LINE_OVERLAP)
        # 101 switches to another protocol, for which the request did not ask.
        if (match := STATUS_LINE.match(head)) and match[1] != b"101":
            return int(match[1])
    # The message doesn't quote the response, which may echo a header with a secret.
    raise ProtocolError("not an HTTP response")


def build_request(
    url: SplitResult,
    headers: Callable[[], Mapping[str, str]],
    method: str = "GET",
    body: bytes = b"",
) -> bytes:
    """Return a request for a URL; a body is JSON.

    Raises:
        CredentialError: a secret in the headers can't be read or can't be sent.
    """
    host = ZONE.sub("", url.netloc)
    own = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    if body:
        own |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    added = {name.title(): value for name, value in read_credential(headers).items()}
    if any(FORBIDDEN.search(value) for value in added.values()):
        raise CredentialError("a secret holds a character that is not allowed in a header")
    fields = (f"{name}: {text}" for name, text in (own | added).items())
    return "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "", ""]).encode() + body


def create_probe(
    url: SplitResult,
    request: bytes | BlockingCall[bytes],
    expect: frozenset[int],
    trust: TrustStore | None,
) -> HttpProbe:
    """Return a probe that sends a request to the server of a URL."""
    host = unquote(url.hostname or "localhost")
    return HttpProbe(Dialer(host, url.port or PORTS[url.scheme]), request, expect, host, trust)


@asynccontextmanager
async def open_http(spec: CheckSpec[HttpOptions], resources: Resources) -> AsyncIterator[HttpProbe]:
    """Provide a probe of an HTTP service. It connects at its first attempt."""
    options = spec.options
    url = urlsplit(options.url)
    build = partial(build_request, url, partial(options.resolve_headers, resources.read_secret))
    has_secret = bool(options.secret_names(spec.name))
    request = BlockingCall(build, "read headers") if has_secret else build()
    yield create_probe(url, request, options.expect, options.trust(resources.trust))


KIND = Kind("http", tuple(PORTS), HttpOptions, open_http)
