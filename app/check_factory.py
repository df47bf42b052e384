"""Create the checks of the configured dependencies, and advise on mistakes in their settings."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Protocol

from app.checks.errors import (
    UNANSWERED_HANDSHAKE,
    PlainAnswerError,
    TlsAnswerError,
    UnansweredError,
    is_password_unwanted,
    lookup_by_class,
)
from app.checks.http import http
from app.checks.session import LOGINS_BLOCKED
from app.checks.tls import TrustStore
from app.health import Check, Probe, Reason
from app.health.reasons import Advice
from app.settings import Settings


class ExplainingProbe(Probe, Protocol):
    """A probe that explains its own failures."""

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""


# How to change the URL, for either side of a mismatch.
USE_PLAIN_TEXT = "write http:// or redis:// in the URL, or sslmode=disable"
USE_TLS = "write https:// or rediss:// in the URL, or sslmode=require"

# Advice if one side may use TLS and the other one plain text, by the class of the error.
ADVICE_BY_ERROR: Mapping[type[BaseException], Advice] = {
    TlsAnswerError: Advice(
        "It answers with TLS, and the URL asks for plain text.",
        f"Correct the port, or {USE_TLS}.",
    ),
    PlainAnswerError: Advice(
        "It answers in plain text, and the URL asks for TLS.",
        f"Switch on TLS there, correct the port, or {USE_PLAIN_TEXT}.",
    ),
    UnansweredError: Advice(
        "It closes the connection before it sends anything.",
        f"See whether it restarts or crashes; its log has the cause. If it expects TLS, {USE_TLS}.",
    ),
}

# Advice after a missed deadline, by the start of the note that a probe added to the error.
ADVICE_BY_NOTE: Mapping[str, Advice] = {
    UNANSWERED_HANDSHAKE: Advice(
        "It accepts the connection, but does not answer the TLS handshake.",
        f"Look at its load; it may be frozen. If it speaks plain text, {USE_PLAIN_TEXT}.",
    ),
    LOGINS_BLOCKED: Advice(
        "It begins to answer logins, and finishes none.",
        "Look for a lock on pg_authid, a login trigger that waits, or a hung LDAP or PAM.",
    ),
}

# Opens a probe, and closes it at the end.
ProbeContext = AbstractAsyncContextManager[ExplainingProbe]


async def open_checks(
    settings: Settings, read_secret: Callable[[str], str], stack: AsyncExitStack
) -> list[Check]:
    """Open a probe for each configured dependency. The stack closes them.

    Args:
        read_secret: returns the secret of a name. It is called for each new connection.
    """
    checks = []
    for name, context in _probe_contexts(settings, read_secret):
        probe = await stack.enter_async_context(context)
        checks.append(make_check(name, probe, settings))
    return checks


def _probe_contexts(
    settings: Settings, read_secret: Callable[[str], str]
) -> Iterator[tuple[str, ProbeContext]]:
    """Yield the name and the probe of each configured dependency.

    A driver is imported only if a check needs it: the import takes a fifth of the startup time.
    """
    if settings.database_url:
        from app.checks.postgres import postgres  # noqa: PLC0415

        yield (
            "postgres",
            postgres(
                settings.database_url,
                settings.password("postgres", read_secret),
                require=settings.postgres_require,
                renew_after=settings.reconnect_interval,
                give_up_after=settings.check_schedules["postgres"][1],
            ),
        )
    if settings.redis_url:
        from app.checks.redis import redis  # noqa: PLC0415

        yield (
            "redis",
            redis(
                settings.redis_url,
                settings.password("redis", read_secret),
                require=settings.redis_require,
                renew_after=settings.reconnect_interval,
            ),
        )
    trust = TrustStore()
    for target in settings.http_targets:
        # The settings refuse a target without a URL. Only `vitals doctor` still gets here then.
        if target.url:
            headers = partial(target.filled, read_secret)
            yield target.name, http(target.url, headers, expect=target.expect, trust=trust)


def make_check(name: str, probe: ExplainingProbe, settings: Settings) -> Check:
    """Return a check with the settings of its dependency: its own schedule, or the general one."""
    general = settings.check_interval, settings.check_timeout
    interval, timeout = settings.check_schedules.get(name, general)
    return Check(
        name=name,
        probe=probe,
        kind="http" if any(one.name == name for one in settings.http_targets) else name,
        explain=probe.explain,
        advise=partial(advise, name, probe, settings.auth(name)),
        interval=interval,
        timeout=timeout,
        failure_threshold=settings.failure_threshold,
        success_threshold=settings.success_threshold,
        required=name not in settings.optional,
    )


def advise(
    name: str, probe: ExplainingProbe, auth: str | None, error: BaseException | None
) -> Advice | None:
    """Return advice if a server and a setting disagree on TLS, or on whether there is a password.

    Args:
        auth: the setting, `password` or `none`; None if the check has no such setting.
        error: the error of the last attempt; None if it passed.
    """
    if advice := lookup_by_class(ADVICE_BY_ERROR, error):
        return advice
    for note in getattr(error, "__notes__", ()):
        for start, advice in ADVICE_BY_NOTE.items():
            if note.startswith(start):
                return advice
    variable = f"{name.upper()}_AUTH"
    password_not_requested = (
        is_password_unwanted(error)
        if error is not None
        else getattr(probe, "password_not_requested", False)
    )
    if auth == "password" and password_not_requested:
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
