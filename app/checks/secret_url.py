"""Checks whose whole URL is a secret, which is read again before each attempt."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
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
from app.health import Reason


REFERENCE = re.compile(f"secret:({SECRET_NAME})")

# The scheme, the user, the password, and the rest.
PASSWORD = re.compile(r"([^:/?#]+://)([^:/?#]*):([^/?#]*)@(.*)", re.DOTALL)


class WrongUrlError(Exception):
    """The secret was replaced by a URL that can't be used."""


def split_password(url: str, kind: Kind) -> tuple[str, str]:
    """Return a URL without its password, and the password. Other kinds refuse one themselves."""
    if not issubclass(kind.options, StoreOptions) or not (found := PASSWORD.fullmatch(url)):
        return url, ""
    scheme, user, password, rest = found.groups()
    return f"{scheme}{user}{'@' if user else ''}{rest}", unquote(password)


def ensure_password(spec: CheckSpec[Options], password: str) -> None:
    """Raise a ValueError if a URL has no password although `auth` asks for one, or the reverse."""
    auth = spec.setting_of("auth")
    if isinstance(spec.options, StoreOptions):
        is_wanted = spec.options.auth == "password"
        ensure(password or not is_wanted, f"has no password. Add it, or set {auth} to none.")
        ensure(is_wanted or not password, f"has a password, but {auth} is none. Remove one.")


def public_address(url: str, kind: Kind) -> str:
    """Return what operators may see of a secret URL: scheme, host, port and database."""
    scheme, _, rest = without_query(url).partition("://")
    authority, slash, path = rest.partition("/")
    shown = slash + path if issubclass(kind.options, StoreOptions) else ""
    return f"{scheme}://{authority.rpartition('@')[2]}{shown}"


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


REASONS: Mapping[type[BaseException], Reason] = {
    CredentialError: Reason.AUTH,
    TimeoutError: Reason.TIMEOUT,
    WrongUrlError: Reason.MISCONFIGURED,
}


def explain_reading(error: BaseException) -> Reason:
    """Return why the URL can't be read."""
    return lookup_by_class(REASONS, error) or Reason.ERROR


class SecretUrlProbe:
    """A probe that opens the probe of its kind, and another one if the secret was replaced.

    Thus no kind knows of such URLs.
    """

    def __init__(self, spec: CheckSpec[Options], resources: Resources) -> None:
        self._spec = spec
        self._resources = resources
        self._read = BlockingCall(self._read_target, "read a URL")
        self._explain = explain_reading
        self._target: Target | None = None
        self._probe: ExplainingProbe | None = None
        self._stack = AsyncExitStack()

    async def __call__(self) -> None:
        """Read the URL, and check the dependency.

        Raises:
            CredentialError: the secret can't be read.
            WrongUrlError: it has an invalid URL, or one with another scheme than at the start.
            Exception: the probe of the kind failed.
        """
        probe = await self.prepare()
        self._explain = probe.explain
        await probe()

    def explain(self, error: BaseException) -> Reason:
        """Return why an attempt failed."""
        return self._explain(error)

    def __getattr__(self, name: str) -> Any:
        """Return what the probe of the kind knows besides, such as `password_not_requested`."""
        return getattr(self._probe, name)

    async def prepare(self) -> ExplainingProbe:
        """Read the URL, and return a probe of it."""
        self._explain = explain_reading
        target = await self._read()
        if self._probe and target == self._target:
            return self._probe
        stack = AsyncExitStack()
        options = self._spec.options.model_copy(update={"url": target.url})
        spec = replace(self._spec, options=options)

        def read_secret(name: str) -> str:
            # The kind reads the password of the URL as that of any other check.
            is_own = name == spec.url_password
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
        secret = read_credential(lambda: self._resources.read_secret(spec.url_secret))
        if self._target and secret == self._target.secret:
            return self._target
        url, password = split_password(secret, spec.kind)
        scheme = spec.address.partition(":")[0]
        try:
            ensure(url.partition(":")[0] == scheme, "has another scheme than at the start")
            spec.kind.options.model_validate({"url": url})
            ensure_password(spec, password)
        except ValidationError as error:
            cause = error.errors(include_input=False)[0]["ctx"]["error"]
            msg = f"the URL {cause}"
            raise WrongUrlError(msg) from None
        except ValueError as error:
            msg = f"the URL {error}"
            raise WrongUrlError(msg) from None
        return Target(secret, url, password)


@asynccontextmanager
async def open_secret_url(
    spec: CheckSpec[Options], resources: Resources
) -> AsyncIterator[SecretUrlProbe]:
    """Provide a probe of a URL that is a secret."""
    async with aclosing(SecretUrlProbe(spec, resources)) as probe:
        # The driver loads here rather than in the first attempt, which has a deadline.
        with suppress(Exception):
            await probe.prepare()
        yield probe
