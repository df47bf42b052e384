"""Create the checks of the configured dependencies, and advise on mistakes in their settings."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from app.checks.errors import (
    CONDITION_WRITES,
    PLAIN_TEXT_REFUSED,
    SENTINEL_REFUSES,
    UNANSWERED_HANDSHAKE,
    ClientCertificateError,
    PlainAnswerError,
    TlsAnswerError,
    UnansweredError,
    is_password_unwanted,
    lookup_by_class,
)
from app.checks.kind import CheckSpec, ExplainingProbe, Options, Resources, StoreOptions
from app.checks.network import BlockingCall
from app.checks.redis import sentinel_password
from app.checks.secret_url import SecretUrlProbe, WrongUrlError
from app.checks.session import LOGINS_BLOCKED
from app.checks.tls import CertificateFileError
from app.health import Check, Facts, Reason
from app.health.model import DAY
from app.health.reasons import Advice
from app.settings import Settings


# How to change the URL, for either side of a mismatch.
USE_PLAIN_TEXT = "write http:// or redis:// in the URL, or sslmode=disable"
USE_TLS = "write https:// or rediss:// in the URL, or sslmode=require"

CERTIFICATE_OPTIONS = (
    "certificate (https:// and tls://), ssl_certfile (rediss://) or sslcert (postgresql://)"
)

# Advice if one side may use TLS and the other one plain text, by the class of the error.
ADVICE_BY_ERROR: Mapping[type[BaseException], Advice] = {
    TlsAnswerError: Advice(
        "It answers with TLS, and the URL asks for plain text.",
        f"Correct the port, or {USE_TLS}.",
    ),
    ClientCertificateError: Advice(
        "It refuses this client in the TLS handshake.",
        f"If it requires a client certificate, name a valid one: {CERTIFICATE_OPTIONS}. Otherwise "
        "make it offer TLS 1.3 or ECDHE. Its log has the cause.",
    ),
    CertificateFileError: Advice(
        "The CA certificates or the client's can't be read here.",
        "Install ca-certificates, or correct the file in SSL_CERT_FILE or in the check's options.",
    ),
    PlainAnswerError: Advice(
        "It answers in plain text, and the URL asks for TLS.",
        f"Switch on TLS there, correct the port, or {USE_PLAIN_TEXT}.",
    ),
    UnansweredError: Advice(
        "It closes the connection before it sends anything.",
        f"See whether it restarts or crashes; its log has the cause. If it expects TLS, {USE_TLS}.",
    ),
    WrongUrlError: Advice(
        "The secret with its URL has another scheme than at the start, or is invalid.",
        "Correct the secret's file, or restart this instance to use another scheme.",
    ),
}

# Advice by the start of the error's text, or of the note that a probe added to it.
ADVICE_BY_TEXT: Mapping[str, Advice] = {
    PLAIN_TEXT_REFUSED: Advice(
        "It refuses a connection without TLS.",
        "If it requires TLS, write sslmode=require in the URL. Otherwise let its pg_hba.conf admit "
        "this client.",
    ),
    UNANSWERED_HANDSHAKE: Advice(
        "It accepts the connection, but does not answer the TLS handshake.",
        f"Look at its load; it may be frozen. If it speaks plain text, {USE_PLAIN_TEXT}.",
    ),
    LOGINS_BLOCKED: Advice(
        "It begins to answer logins, and finishes none.",
        "Look for a lock on pg_authid, a login trigger that waits, or a hung LDAP or PAM.",
    ),
    SENTINEL_REFUSES: Advice(
        "A Sentinel refuses the login; the primary was not asked.",
        "Write the password of the Sentinels into the secret NAME_sentinel_password, or remove "
        "that secret if they want none.",
    ),
    CONDITION_WRITES: Advice(
        "Its condition writes or locks rows, and Vitals runs it in a read-only transaction.",
        "Correct the condition: one SELECT that returns true.",
    ),
    "DENIED": Advice(
        "It is in protected mode: without a password, it serves only clients on its own machine.",
        "Set a password there, and configure it here.",
    ),
    "NOREPLICAS": Advice(
        "It is a primary that rejects writes, because too few replicas are connected.",
        "Repair its replicas. The limit is min-replicas-to-write there.",
    ),
}


class DeferredProbe:
    """A probe that opens after the service has started, because its driver loads slowly."""

    def __init__(self, spec: CheckSpec[Options], resources: Resources) -> None:
        self.spec = spec
        self._resources = resources
        self._probe: Any = None

    async def open(self, stack: AsyncExitStack) -> None:
        """Load the driver on a thread, and open the probe. The stack closes it."""
        kind = self.spec.kind
        if kind.driver:
            await BlockingCall(partial(import_module, kind.driver), f"load {kind.driver}")()
        arguments = self.spec, self._resources
        has_secret = bool(self.spec.url_secret)
        opening = aclosing(SecretUrlProbe(*arguments)) if has_secret else kind.open(*arguments)
        self._probe = await stack.enter_async_context(opening)

    async def __call__(self) -> None:
        """Check the dependency."""
        await self._probe()

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        reason: Reason = self._probe.explain(error)
        return reason

    def facts(self) -> Facts:
        """Return what the probe has learned."""
        facts: Facts = getattr(self._probe, "facts", Facts)()
        return facts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._probe, name)


def create_checks(
    settings: Settings, read_secret: Callable[[str], str]
) -> tuple[list[Check], Callable[[AsyncExitStack], Awaitable[None]]]:
    """Return the configured checks, and a function that opens their probes.

    Args:
        read_secret: returns the secret of a name. It is called for each new connection.
    """
    resources = Resources(
        read_secret,
        settings.reconnect_interval,
        has_secret=lambda name: settings.secret(name).exists,
    )
    # The settings refuse a check without a URL. Only `vitals doctor` still gets here then.
    specs = [spec for spec in settings.check_specs if spec.options.url]
    probes = [DeferredProbe(spec, resources) for spec in specs]

    async def open_probes(stack: AsyncExitStack) -> None:
        for probe in probes:
            await probe.open(stack)

    warning = settings.certificate_warn_days * DAY
    return [make_check(probe.spec, probe, warning) for probe in probes], open_probes


async def open_checks(
    settings: Settings, read_secret: Callable[[str], str], stack: AsyncExitStack
) -> list[Check]:
    """Return the configured checks with open probes. The stack closes them."""
    checks, open_probes = create_checks(settings, read_secret)
    await open_probes(stack)
    return checks


def make_check(
    spec: CheckSpec[Options], probe: ExplainingProbe, certificate_warning: float = 0
) -> Check:
    """Return a check with the terms of its specification."""
    terms = spec.options
    return Check(
        name=spec.name,
        probe=probe,
        kind=spec.kind.name,
        explain=probe.explain,
        advise=partial(advise, spec, probe),
        facts=getattr(probe, "facts", Facts),
        certificate_warning=certificate_warning,
        interval=terms.interval,
        timeout=terms.timeout,
        failure_threshold=terms.failure_threshold,
        success_threshold=terms.success_threshold,
        required=terms.required,
    )


def advise(
    spec: CheckSpec[Options], probe: ExplainingProbe, error: BaseException | None
) -> Advice | None:
    """Return advice if a server and a setting disagree, or if a probe that passes has a remark.

    Args:
        error: the error of the last attempt; None if it passed.
    """
    if advice := lookup_by_class(ADVICE_BY_ERROR, error):
        return advice
    for text in (str(error), *getattr(error, "__notes__", ())):
        for start, advice in ADVICE_BY_TEXT.items():
            if text.startswith(start):
                names = "NAME_sentinel_password", sentinel_password(spec.name)
                return replace(advice, remedy=advice.remedy.replace(*names))
    options = spec.options
    if not isinstance(options, StoreOptions):
        return None
    setting = spec.setting_of("auth")
    password_not_requested = (
        is_password_unwanted(error)
        if error is not None
        else getattr(probe, "password_not_requested", False)
    )
    if options.auth == "password" and password_not_requested:
        return Advice(
            "It asks for no password, but one is configured here.",
            f"Set {setting}=none if that is right; otherwise make the server require the password.",
        )
    if options.auth == "none" and error is not None and probe.explain(error) is Reason.AUTH:
        return Advice(
            f"It asks for a password, but {setting} is none.",
            f"Unset {setting}, and put the password into the secret "
            f"{options.password_name(spec.name)}.",
        )
    return getattr(probe, "remark", None) if error is None else None
