"""`vitals check`: asks a running service how it is, for a container without curl."""

import contextlib
import json
import re
import threading
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import Empty, SimpleQueue
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import typer


# With Python's own start and end it is within the 5 seconds that a prober waits.
TIMEOUT = 4.5

# A Ctrl-C that comes between Python's last look for one and a wait is heard when the wait is over.
STEP = 0.1

# A health answer is shorter, with however many checks of a user's own; of anything else this much
# is enough to see that it is not one.
MAX_BYTES = 2**20

# Both are served on IPv4, and there may be no IPv6.
UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104  # it is what HOST may say

# The code and the body.
Answer = tuple[int, bytes]


def check(
    name: Annotated[
        str, typer.Argument(metavar="live|ready|started|NAME", help="What to ask for.")
    ] = "ready",
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where it serves.", show_default="http://HOST:PORT"),
    ] = None,
    host: Annotated[str, typer.Option(envvar="HOST", help="Its address.")] = "127.0.0.1",
    port: Annotated[str, typer.Option(envvar="PORT", help="Its port.")] = "8000",
) -> None:
    """Ask a running service how it is.

    Exits with 0 for pass and warn, with 1 for fail, an answer that makes no sense, and none
    within 5 seconds. NAME is that of a check, such as postgres.
    """
    if not re.fullmatch("[a-z][a-z0-9_-]*", name):
        msg = f"{name!r} can't be the name of a check"
        raise typer.BadParameter(msg)
    passes, line = verdict(name, base(url or listening(host, port)))
    # What a stranger says must neither steer a terminal nor break the line.
    typer.echo(ascii(f"{name}: {line}")[1:-1])
    raise typer.Exit(0 if passes else 1)


def listening(host: str, port: str) -> str:
    """Tell the address of a service on this machine."""
    host = UNSPECIFIED.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def base(url: str) -> SplitResult:
    """Take an address apart.

    Raises:
        typer.BadParameter: it is none, or it holds what an address of a service does not.

    """
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        plain = url.isascii() and url.isprintable() and not set(url) & set(" @?#")
        if plain and parts.hostname and parts.scheme in {"http", "https"} and parts.port != 0:
            return parts
    msg = "--url, or HOST and PORT, must make http://HOST:PORT or https://HOST:PORT"
    raise typer.BadParameter(msg)


def verdict(name: str, url: SplitResult) -> tuple[bool, str]:
    """Ask, and tell whether it passes and what there is to say."""
    path = name if name in {"live", "ready", "started"} else f"checks/{name}"
    try:
        answer = ask(url, f"{url.path.rstrip('/')}/health/{path}")
    except OSError as error:
        cause = error.strerror or str(error)
        return False, f"no answer from {url.geturl()}: {cause[:1].lower()}{cause[1:]}"
    except (HTTPException, ValueError) as error:
        return False, f"no answer from {url.geturl()}: {type(error).__name__}: {error}"
    return judged(answer, url.geturl())


def ask(url: SplitResult, path: str) -> Answer:
    """Ask on a thread that can be left behind: resolving a name can't be cut short.

    Raises:
        OSError, HTTPException, ValueError: there is no answer.

    """
    outcome = SimpleQueue[Answer | Exception]()

    def run() -> None:
        try:
            outcome.put(request(url, path))
        except (OSError, HTTPException, ValueError) as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    answer = awaited(outcome)
    if isinstance(answer, Exception):
        raise answer
    return answer


def awaited(outcome: SimpleQueue[Answer | Exception]) -> Answer | Exception:
    """Wait in steps for what comes of asking."""
    deadline = time.monotonic() + TIMEOUT
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(Empty):
            return outcome.get(timeout=min(left, STEP))
    return TimeoutError(f"not within {TIMEOUT} seconds")


def request(url: SplitResult, path: str) -> Answer:
    """Put one request on a connection of its own."""
    kind, port = (HTTPSConnection, 443) if url.scheme == "https" else (HTTPConnection, 80)
    with contextlib.closing(kind(url.hostname or "", url.port or port)) as connection:
        headers = {"Accept": "application/json", "Connection": "close"}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(MAX_BYTES)


def judged(answer: Answer, url: str) -> tuple[bool, str]:
    """Tell whether an answer passes, and why not; what Vitals would not say does not."""
    code, body = answer
    told = None
    with contextlib.suppress(ValueError, RecursionError):
        told = json.loads(body)
    match code, told:
        case 200, {"status": "pass"}:
            return True, "pass"
        case 200, {"status": "warn"}:
            return True, f"warn{why(told)}"
        case 503, {"status": "fail" | "unknown" as status}:
            return False, f"{status}{why(told)}"
        case 404, {"detail": str()}:
            return False, f"{url} has no such check, or does not show it"
    return False, f"{url} answered {code}, but not as Vitals does"


def why(told: Any) -> str:
    """Tell what keeps something from passing: the phase, or the reason of each check."""
    words = [told.get("reason"), told.get("phase")]
    checks = told.get("checks")
    for name, known in checks.items() if isinstance(checks, dict) else ():
        if isinstance(known, dict) and known.get("status") != "pass":
            words.append(f"{name} {known.get('reason', known.get('status'))}")
    said = [str(word) for word in words if word and word != "serving"]
    return f" ({', '.join(said)})" if said else ""
