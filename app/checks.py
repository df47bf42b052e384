"""What is checked: a probe for each dependency that is configured, and the terms on which."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from importlib import import_module
from itertools import chain
from typing import Protocol

from app.health import Check, Probe, Reason
from app.health.advice import Advice
from app.probes.http import http
from app.probes.reasons import (
    UNANSWERED_HANDSHAKE,
    PlainAnswerError,
    TlsAnswerError,
    UnansweredError,
    by_class,
    unwanted,
)
from app.probes.session import SessionProbe
from app.probes.session_starts import HELD_UP
from app.probes.trust import Trust
from app.settings import Settings


class Explained(Probe, Protocol):
    """A probe that tells the reasons of its own failures."""

    def explain(self, error: BaseException) -> Reason:
        """Tell why an attempt failed."""


PLAIN = "write http:// or redis:// in the URL, or sslmode=disable"
TLS = "write https:// or rediss:// in the URL, or sslmode=require"

# What to try where one side may speak TLS, and the other one plain text.
MISMATCHES: Mapping[type[BaseException], Advice] = {
    TlsAnswerError: Advice(
        "It answers with TLS, and the URL asks for plain text.",
        f"Correct the port, or {TLS}.",
    ),
    PlainAnswerError: Advice(
        "It answers in plain text, and the URL asks for TLS.",
        f"Switch on TLS there, correct the port, or {PLAIN}.",
    ),
    UnansweredError: Advice(
        "It closes the connection before it sends anything.",
        f"See whether it restarts or crashes; its log has the cause. If it expects TLS, {TLS}.",
    ),
}

# The same by what a probe notes in the error of a missed deadline.
NOTED: Mapping[str, Advice] = {
    UNANSWERED_HANDSHAKE: Advice(
        "It accepts the connection, but does not answer the TLS handshake.",
        f"Look at its load; it may be frozen. If it speaks plain text, {PLAIN}.",
    ),
    HELD_UP: Advice(
        "It begins to answer logins, and finishes none.",
        "Look for a lock on pg_authid, a login trigger that waits, or a hung LDAP or PAM.",
    ),
}

# The name of a dependency, and its probe, which is yet to be opened.
Opening = tuple[str, AbstractAsyncContextManager[Explained]]


async def open_checks(
    settings: Settings, read: Callable[[str], str], stack: AsyncExitStack
) -> list[Check]:
    """Open a probe for each dependency that is configured; the stack closes them.

    Args:
        read: reads the secret of a name, each time that one is needed.

    """
    checks = []
    for name, opening in chain(stores(settings, read), services(settings, read)):
        probe = await stack.enter_async_context(opening)
        checks.append(check(name, probe, settings))
    return checks


def stores(settings: Settings, read: Callable[[str], str]) -> Iterator[Opening]:
    """Tell the probes of stores, each when it is asked for."""
    # Redis drops what a client that has gone wanted; PostgreSQL has to be told when to.
    limit = {"give_up_after": settings.terms["postgres"][1]} if settings.database_url else {}
    possible: tuple[tuple[str, str | None, dict[str, float]], ...] = (
        ("postgres", settings.database_url, limit),
        ("redis", settings.redis_url, {}),
    )
    for name, url, further in possible:
        if url:
            opening = opener(name)(
                url,
                settings.password(name, read),
                require=getattr(settings, f"{name}_require"),
                renew_after=settings.reconnect_interval,
                **further,
            )
            yield name, opening


def services(settings: Settings, read: Callable[[str], str]) -> Iterator[Opening]:
    """Tell the probes of HTTP services, each when it is asked for."""
    # One whose URL was refused has none; nobody serves then, but the doctor asks all the others.
    trust = Trust()
    for target in filter(lambda one: one.url, settings.http_targets):
        headers = partial(target.filled, read)
        yield target.name, http(target.url, headers, expect=target.expect, trust=trust)


def opener(name: str) -> Callable[..., AbstractAsyncContextManager[SessionProbe]]:
    """Import a store's probe, whose driver takes a fifth of the start, where there is the store."""
    found: Callable[..., AbstractAsyncContextManager[SessionProbe]]
    found = getattr(import_module(f"app.probes.{name}"), name)
    return found


def check(name: str, probe: Explained, settings: Settings) -> Check:
    """Set the terms on which a dependency is judged: its own, where it has any."""
    general = settings.check_interval, settings.check_timeout
    interval, timeout = settings.terms.get(name, general)
    return Check(
        name=name,
        probe=probe,
        explain=probe.explain,
        advise=partial(advise, name, probe, getattr(settings, f"{name}_auth", None)),
        interval=interval,
        timeout=timeout,
        failure_threshold=settings.failure_threshold,
        success_threshold=settings.success_threshold,
        required=name not in settings.optional,
    )


def advise(
    name: str, probe: Explained, auth: str | None, error: BaseException | None
) -> Advice | None:
    """Return advice if a server and a setting disagree on whether there is a password, or TLS.

    Args:
        auth: `password` or `none` as the setting says; None if the check has no such setting.
        error: what the last attempt raised; None if it passed.

    """
    if mismatch := by_class(MISMATCHES, error):
        return mismatch
    for note in getattr(error, "__notes__", ()):
        if advice := next((NOTED[start] for start in NOTED if note.startswith(start)), None):
            return advice
    variable = f"{name.upper()}_AUTH"
    unasked = unwanted(error) if error is not None else getattr(probe, "unasked", False)
    if auth == "password" and unasked:
        return Advice(
            "It asks for no password, but one is configured here.",
            f"Set {variable}=none if that is right; otherwise make the server require the "
            "password.",
        )
    if auth == "none" and error is not None and probe.explain(error) is Reason.AUTH:
        return Advice(
            f"It asks for a password, but {variable} is none.",
            f"Unset {variable}, and put the password into the secret {name}_password.",
        )
    return None
