"""HTTP requests that report changes of readiness, and heartbeats while this instance is ready."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from app.api.json_bodies import write_json
from app.api.verdict import Snapshot, Verdict, readiness_query
from app.check_factory import make_check
from app.checks.errors import read_credential
from app.checks.http import FINAL_STATUSES, PORTS, build_request, create_probe, parse_http_url
from app.checks.kind import CheckSpec, Resources
from app.checks.network import BlockingCall
from app.checks.tcp import KIND as TCP
from app.checks.tcp import TcpOptions
from app.checks.tls import TrustStore
from app.health import Check, Clock, Monitor
from app.lifecycle import Phase
from app.settings import Settings
from app.settings.secrets import (
    HEARTBEAT_URL,
    NOTIFY_URL,
    OPTIONAL_SECRETS,
    SecretError,
    SecretStore,
)
from app.text import format_time


# Seconds within which a request must be answered.
TIMEOUT = 5.0

# Seconds between two looks at the state, and from one failed notification to the next attempt.
POLL_INTERVAL = 1.0
MIN_PAUSE, MAX_PAUSE = 1.0, 60.0

SUCCESSES = frozenset(code for code in FINAL_STATUSES if code // 100 == 2)  # noqa: PLR2004 - 2xx

# Counts a request by its kind and its result.
Count = Callable[[str, str, int], None]

logger = logging.getLogger("vitals")


class Sender:
    """Sends requests to the URL of a secret, which is read again for each.

    Args:
        kind: `notification` or `heartbeat`, for the log and the metrics.
        secret: the name of the secret.
    """

    def __init__(self, kind: str, secret: str, secrets: SecretStore, count: Count) -> None:
        self._kind = kind
        read = partial(read_credential, partial(secrets.read, secret))
        self._read_url = BlockingCall(read, f"read {secret}")
        self._redact = secrets.redact
        self._count = count
        self._trust = TrustStore()
        self._is_failing = False
        for result in ("sent", "failed"):
            count(kind, result, 0)

    async def send(self, method: str, body: bytes = b"") -> None:
        """Send a request. Only a status 2xx is a success; redirects are not followed."""
        try:
            url = urlsplit(parse_http_url(await self._read_url()))
            request = build_request(url, dict, method, body)
            trust = self._trust if url.scheme == "https" else None
            await create_probe(url, request, SUCCESSES, trust)()
        except BaseException as error:
            self._record(error)
            raise
        self._record(None)

    def _record(self, error: BaseException | None) -> None:
        """Count a request, and log the first failure of a series and its end."""
        self._count(self._kind, "failed" if error else "sent", 1)
        if error and not self._is_failing:
            # The monitor cancels a request at its deadline.
            late = isinstance(error, asyncio.CancelledError)
            cause = (
                f"no answer within {TIMEOUT:g} s" if late else f"{type(error).__name__}: {error}"
            )
            logger.warning(
                "notifications failing", extra={"kind": self._kind, "cause": self._redact(cause)}
            )
        elif self._is_failing and not error:
            logger.info("notifications delivered again", extra={"kind": self._kind})
        self._is_failing = error is not None


@dataclass
class Notifier:
    """A probe that notifies of each change of readiness while serving.

    Only the newest change is kept. It is sent until it is delivered, ever more seldom: the network
    may be what has failed.

    Attributes:
        snapshot: takes the present state.
        send: sends a body.
        instance: the name of this instance.
        shows_checks: whether the body may name the checks.
    """

    snapshot: Callable[[], Snapshot]
    send: Callable[[bytes], Awaitable[None]]
    instance: str
    shows_checks: bool
    _known: Verdict | None = None
    _pending: bytes | None = None
    _pause: float = MIN_PAUSE
    _next_at: float = 0.0

    async def __call__(self) -> None:
        """Send the newest change, if there is one that is not delivered."""
        snapshot = self.snapshot()
        if snapshot.phase is Phase.SERVING:
            self._note_change(snapshot)
        now = snapshot.now.steady
        if (body := self._pending) is None or now < self._next_at:
            return
        self._next_at, self._pause = now + self._pause, min(self._pause * 2, MAX_PAUSE)
        await self.send(body)
        self._pending = None

    def _note_change(self, snapshot: Snapshot) -> None:
        verdict, known = readiness_query()(snapshot.report, snapshot.phase), self._known
        self._known = verdict
        if known and known.passes != verdict.passes:
            self._pending = self._write(verdict, known, snapshot.now.wall)
            self._pause, self._next_at = MIN_PAUSE, snapshot.now.steady

    def _write(self, verdict: Verdict, known: Verdict, since: float) -> bytes:
        """Return the body: `text` and `content` for chats, the rest for programs."""
        body: dict[str, Any] = {
            "service": "vitals",
            "instance": self.instance,
            "status": verdict.status.word,
            "previous": known.status.word,
            "since": format_time(since),
        }
        text = f"{self.instance}: {verdict.status.word}"
        if self.shows_checks and verdict.report:
            body["checks"] = json.loads(write_json(verdict))["checks"]
            causes = [
                f"{observation.check.name} {observation.reason}"
                for observation in verdict.report.checks
                if observation.reason
            ]
            text += f" ({', '.join(causes)})" if causes else ""
        return json.dumps({"text": text, "content": text, **body}).encode()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A probe that sends a heartbeat while this instance is ready."""

    snapshot: Callable[[], Snapshot]
    send: Callable[[], Awaitable[None]]

    async def __call__(self) -> None:
        """Send a heartbeat, unless this instance is not ready."""
        snapshot = self.snapshot()
        if readiness_query()(snapshot.report, snapshot.phase).passes:
            await self.send()


def monitor_notifications(
    settings: Settings, secrets: SecretStore, snapshot: Callable[[], Snapshot], count: Count
) -> Monitor:
    """Return a monitor that sends notifications and heartbeats, for the secrets that exist.

    A monitor has what they need: a deadline, and one attempt at a time. None of its results
    influences the status of this instance.
    """
    checks = []
    if settings.secret(NOTIFY_URL).exists:
        sender = Sender("notification", NOTIFY_URL, secrets, count)
        shows_checks = settings.health_details != "never"
        probe = Notifier(snapshot, partial(sender.send, "POST"), settings.instance, shows_checks)
        checks.append(Check(name=NOTIFY_URL, probe=probe, interval=POLL_INTERVAL, timeout=TIMEOUT))
    if settings.secret(HEARTBEAT_URL).exists:
        sender = Sender("heartbeat", HEARTBEAT_URL, secrets, count)
        beat = Heartbeat(snapshot, partial(sender.send, "GET"))
        interval = settings.heartbeat_interval
        checks.append(Check(name=HEARTBEAT_URL, probe=beat, interval=interval, timeout=TIMEOUT))
    return Monitor(checks, clock=Clock())


async def open_connection_checks(settings: Settings, stack: AsyncExitStack) -> list[Check]:
    """Return checks that connect to the receivers and send nothing. The stack closes them."""
    checks = []
    for name in OPTIONAL_SECRETS:
        with suppress(SecretError, ValueError):  # the settings report it
            if (secret := settings.secret(name)).exists:
                url = urlsplit(parse_http_url(secret.read()))
                scheme = "tls" if url.scheme == "https" else "tcp"
                host = f"[{url.hostname}]" if "[" in url.netloc else url.hostname
                target = f"{scheme}://{host}:{url.port or PORTS[url.scheme]}"
                spec = CheckSpec(name, TCP, TcpOptions(url=target, timeout=TIMEOUT))
                probe = await stack.enter_async_context(TCP.open(spec, Resources(str, 0)))
                checks.append(make_check(spec, probe))
    return checks
