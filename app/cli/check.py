"""`vitals check`: check a running service, in a container without curl."""

import contextlib
import json
import re
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

from app.cli import format_url, option, parse_port


# Leaves Python time to start and to exit within 5 seconds.
TIMEOUT = 4.5

# A Ctrl-C that arrives just before a wait begins is handled when that wait ends.
POLL_INTERVAL = 0.1

# No health answer is longer, even with the highest number of checks.
MAX_BYTES = 2**20

# The service accepts IPv4 connections on both, and the machine may have no IPv6.
UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104  # a value of HOST

# The status code and the body.
Answer = tuple[int, bytes]


@click.command()
@click.argument("names", metavar="[live|ready|started|NAME]", nargs=-1)
@option(
    "--url", metavar="URL", default="", show_default="http://HOST:PORT", help="The service's URL."
)
@option("--host", metavar="HOST", envvar="HOST", default="127.0.0.1", help="The service's address.")
@option("--port", metavar="PORT", envvar="PORT", default="8000", help="The service's port.")
def check(names: tuple[str, ...], url: str, host: str, port: str) -> None:
    """Check a running service.

    NAME is the name of one check, such as postgres (default: ready).

    Exits with 0 for pass and warn, and with 1 for fail, for an unexpected answer, and for no
    answer within 5 seconds.
    """
    name = parse_names(names)
    passes, text = fetch_status(name, parse_url(url or local_url(host, port)))
    # The answer may come from another server: it must not control the terminal or add a line.
    click.echo(ascii(f"{name}: {text}")[1:-1])
    sys.exit(0 if passes else 1)


def parse_names(names: tuple[str, ...]) -> str:
    """Return the one name, or `ready` if there is none."""
    if any(re.search(r"://|^[\w.-]*[\w.]:\d+/?$", name) for name in names):
        # The message does not repeat the URL, because it may hold a password.
        raise click.UsageError("A URL is not the name of a check. Use --url URL.")
    if len(names) > 1:
        raise click.UsageError(f"Expected one name, got {len(names)}.")
    name = names[0] if names else "ready"
    if not re.fullmatch("[a-z][a-z0-9_-]*", name):
        raise click.BadParameter(f"{name!r} can't be the name of a check.")
    return name


def local_url(host: str, port: str) -> str:
    """Return the URL of the service on this machine."""
    return format_url(UNSPECIFIED.get(host, host), parse_port(port))


def parse_url(url: str) -> SplitResult:
    """Parse an HTTP URL without credentials, query and fragment."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and not set(url) & set(" @?#")
        if plain and parts.hostname and parts.scheme in {"http", "https"} and parts.port != 0:
            return parts
    raise click.BadParameter(
        "--url, or HOST and PORT, must make http://HOST:PORT or https://HOST:PORT."
    )


def fetch_status(name: str, url: SplitResult) -> tuple[bool, str]:
    """Return whether a check passes, and its status with the reasons."""
    path = name if name in {"live", "ready", "started"} else f"checks/{name}"
    try:
        answer = fetch_within_timeout(url, f"{url.path.rstrip('/')}/health/{path}")
    except OSError as error:
        cause = error.strerror or str(error)
        return False, f"no answer from {url.geturl()}: {cause[:1].lower()}{cause[1:]}."
    except (HTTPException, ValueError) as error:
        return False, f"no answer from {url.geturl()}: {type(error).__name__}: {error}."
    return parse_answer(answer, url.geturl())


def fetch_within_timeout(url: SplitResult, path: str) -> Answer:
    """Fetch on a daemon thread, because a name look-up can't be interrupted."""
    outcome = list[Answer | Exception]()

    def run() -> None:
        try:
            outcome.append(fetch(url, path))
        except (OSError, HTTPException, ValueError) as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + TIMEOUT
    while thread.is_alive() and time.monotonic() < deadline:
        thread.join(POLL_INTERVAL)
    answer = outcome[0] if outcome else TimeoutError(f"not within {TIMEOUT} seconds")
    if isinstance(answer, Exception):
        raise answer
    return answer


def fetch(url: SplitResult, path: str) -> Answer:
    """Send one request on a new connection."""
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    with contextlib.closing(kind(url.netloc)) as connection:
        headers = {"Accept": "application/json", "Connection": "close"}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(MAX_BYTES)


def parse_answer(answer: Answer, url: str) -> tuple[bool, str]:
    """Return whether an answer passes, and its status. Only an answer of Vitals can pass."""
    code, body = answer
    document = None
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(body)
    match code, document:
        case 200, {"status": "pass"}:
            return True, "pass"
        case 200, {"status": "warn"}:
            return True, f"warn{format_reasons(document)}"
        case 503, {"status": "fail" | "unknown" as status}:
            return False, f"{status}{format_reasons(document)}"
        case 404, {"detail": str()}:
            return False, f"{url} has no such check, or does not show it."
    return False, f"{url} answered {code}, but not as Vitals does."


def format_reasons(document: Any) -> str:
    """Return the phase and the reason of each check that does not pass, in parentheses."""
    reasons = [document.get("reason"), document.get("phase")]
    checks = document.get("checks")
    for name, state in checks.items() if isinstance(checks, dict) else ():
        if isinstance(state, dict) and state.get("status") != "pass":
            reasons.append(f"{name} {state.get('reason', state.get('status'))}")
    texts = [str(reason) for reason in reasons if reason and reason != "serving"]
    return f" ({', '.join(texts)})" if texts else ""
