"""Checks whose whole URL is a secret, which is read again before each attempt."""

import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import unquote

from pydantic import ValidationError

from app.checks.errors import CredentialError, lookup_by_class, read_credential
from app.checks.kind import (
    SECRET_NAME,
    CheckSpec,
    ExplainingProbe,
    Kind,
    Options,
    Resources,
    StoreOptions,
)
from app.checks.network import BlockingCall
from app.checks.urls import ensure, without_query
from app.health import Facts, Reason
from app.health.reasons import Advice


REFERENCE = re.compile(f"secret:({SECRET_NAME})")

# The scheme, the user, the password, and the rest.
PASSWORD = re.compile(r"([^:/?#]+://)([^:/?#]*):([^/?#]*)@(.*)", re.DOTALL)

# libpq and redis-py accept a password in the query, too.
QUERY_PASSWORD = re.compile(r"(?<=[?&])password=([^&#]*)&?")


class WrongUrlError(Exception):
    """The secret was replaced by a URL that can't be used."""


REASONS: Mapping[type[BaseException], Reason] = {
    CredentialError: Reason.AUTH,
    TimeoutError: Reason.TIMEOUT,
    WrongUrlError: Reason.MISCONFIGURED,
}


def explain_reading(error: BaseException) -> Reason:
    """Return why the URL can't be read."""
    return lookup_by_class(REASONS, error) or Reason.ERROR


def split_password(url: str, kind: Kind) -> tuple[str, str]:
    """Return a URL without its password, and the password. Other kinds refuse one themselves.

    As with the user, a password in the query comes before the other one.
    """
    if not issubclass(kind.options, StoreOptions):
        return url, ""
    passwords = QUERY_PASSWORD.findall(url)
    url = QUERY_PASSWORD.sub("", url)
    if found := PASSWORD.fullmatch(url):
        scheme, user, password, rest = found.groups()
        url = f"{scheme}{user}{'@' if user else ''}{rest}"
        passwords.append(password)
    return url, unquote(next(filter(None, passwords), ""))


def ensure_password(spec: CheckSpec[Options], password: str) -> None:
    """Raise a ValueError if a URL has no password although `auth` asks for one, or the reverse."""
    if isinstance(spec.options, StoreOptions):
        auth, is_wanted = spec.setting_of("auth"), spec.options.auth == "password"
        ensure(password or not is_wanted, f"has no password. Add it, or set {auth} to none.")
        ensure(is_wanted or not password, f"has a password, but {auth} is none. Remove one.")


def refer(spec: CheckSpec[Options], secret: str) -> CheckSpec[Options]:
    """Return a check with a reference to the secret instead of its URL."""
    scheme, _, rest = without_query(spec.options.url).partition("://")
    authority, slash, path = rest.partition("/")
    # The path of an HTTP URL may contain a token. That of a store is its database.
    shown = slash + path if isinstance(spec.options, StoreOptions) else ""
    address = f"{scheme.lower()}://{authority.rpartition('@')[2]}{shown}"
    if "@" in shown:  # a password with a slash that is not encoded
        address = f"{scheme.lower()}://"
    changes = {"url": spec.options.url and f"secret:{secret}"}
    if isinstance(spec.options, StoreOptions):
        changes["password"] = secret  # the kind reads it as any other password
    options = spec.options.model_copy(update=changes)
    return replace(spec, options=options, url_secret=secret, address=address)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was read.

    Attributes:
        secret: the content of the secret.
        url: the same without the password.
    """

    secret: str
    url: str
    password: str


class SecretUrlProbe:
    """A probe that opens the probe of its kind, and another one if the secret was replaced."""

    def __init__(self, spec: CheckSpec[Options], resources: Resources) -> None:
        self._spec = spec
        self._resources = resources
        self._read = BlockingCall(self._read_target, "read a URL")
        self._target: Target | None = None
        self._probe: ExplainingProbe | None = None
        self._stack = AsyncExitStack()
        self._explain = explain_reading

    async def __call__(self) -> None:
        """Read the URL, and check the dependency.

        Raises:
            CredentialError: the secret can't be read.
            WrongUrlError: it has an invalid URL, or one with another scheme than at the start.
            Exception: the probe of the kind failed.
        """
        self._explain = explain_reading
        probe = await self._open()
        self._explain = probe.explain
        await probe()

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        return self._explain(error)

    def facts(self) -> Facts:
        """Return what the probe of the kind has learned."""
        facts: Callable[[], Facts] = getattr(self._probe, "facts", Facts)
        return facts()

    @property
    def password_not_requested(self) -> bool:
        """Whether the server did not ask for the password."""
        return getattr(self._probe, "password_not_requested", False)

    @property
    def remark(self) -> Advice | None:
        """What to know about a server that passes."""
        return getattr(self._probe, "remark", None)

    async def _open(self) -> ExplainingProbe:
        """Read the URL, and return a probe of it."""
        target = await self._read()
        if self._probe and target == self._target:
            return self._probe
        stack = AsyncExitStack()
        options = self._spec.options.model_copy(update={"url": target.url})
        spec = replace(self._spec, options=options)

        def read_secret(name: str) -> str:
            is_own = target.password and name == spec.url_secret
            return target.password if is_own else self._resources.read_secret(name)

        resources = replace(self._resources, read_secret=read_secret)
        probe = await stack.enter_async_context(spec.kind.open(spec, resources))
        self._target, self._probe = target, probe
        old, self._stack = self._stack, stack
        await old.aclose()
        return probe

    async def aclose(self) -> None:
        """Close the probe of the kind."""
        await self._stack.aclose()

    def _read_target(self) -> Target:
        spec = self._spec
        secret = read_credential(partial(self._resources.read_secret, spec.url_secret))
        if self._target and secret == self._target.secret:
            return self._target
        url, password = split_password(secret, spec.kind)
        is_same = url.partition(":")[0].lower() == spec.address.partition(":")[0]
        try:
            ensure(is_same, "has another scheme than at the start")
            spec.kind.options.model_validate({"url": url})
            ensure_password(spec, password)
        except ValueError as error:
            if isinstance(error, ValidationError):
                error = error.errors(include_input=False)[0]["ctx"]["error"]
            raise WrongUrlError(f"the URL {error}") from None
        return Target(secret, url, password)
