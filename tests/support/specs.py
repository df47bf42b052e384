"""Checks for tests that bring their own probe, and probes for tests without settings."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from app.checks.http import KIND as HTTP
from app.checks.http import HttpOptions, HttpProbe, open_http
from app.checks.kind import CheckSpec, Kind, Options, Resources
from app.checks.postgres import KIND as POSTGRESQL
from app.checks.redis import KIND as REDIS
from app.checks.tls import TrustStore
from app.settings import Settings


def spec_of(name: str, settings: Settings | None = None) -> CheckSpec[Options]:
    """Return the check *name* with the terms of the settings: a store, or else an HTTP check."""
    urls = {
        "database_url": "postgresql://user@host/db",
        "redis_url": "redis://host",
        "checks": json.dumps({name: {"url": "http://host/"}}),
    }
    urls |= {"checks": ""} if name in {"postgres", "redis"} else {}
    given = (settings or Settings()).model_dump()
    return next(spec for spec in Settings(**given | urls).check_specs if spec.name == name)


Password = Callable[[], str] | None


def postgres(
    url: str,
    password: Password,
    *,
    require: str,
    renew_after: float,
    give_up_after: float = 60,
    **options: Any,
) -> AbstractAsyncContextManager[Any]:
    """Open a probe of a PostgreSQL. Its URL and other options are not validated."""
    options |= {"depth": require, "timeout": give_up_after}
    return _open(POSTGRESQL, url, password, renew_after, **options)


def redis(
    url: str, password: Password, *, require: str, renew_after: float
) -> AbstractAsyncContextManager[Any]:
    """Open a probe of a Redis. Its URL is not validated."""
    return _open(REDIS, url, password, renew_after, depth=require)


def http(
    url: str,
    headers: Callable[[], Mapping[str, str]],
    *,
    expect: int,
    trust: TrustStore | None = None,
) -> AbstractAsyncContextManager[HttpProbe]:
    """Open a probe of an HTTP service that asks *headers* for its headers at each attempt."""

    class Scripted(HttpOptions):
        def secret_names(self, name: str) -> frozenset[str]:
            return frozenset({name})

        def resolve_headers(self, read_secret: Callable[[str], str]) -> dict[str, str]:
            del read_secret
            return dict(headers())

    spec = CheckSpec("http", HTTP, Scripted.model_construct(url=url, expect=frozenset({expect})))
    return open_http(spec, Resources(str, 15, trust or TrustStore()))


def _open(
    kind: Kind, url: str, password: Password, renew_after: float, **options: Any
) -> AbstractAsyncContextManager[Any]:
    auth = "password" if password else "none"
    chosen: Any = kind.options.model_construct(url=url, auth=auth, **options)

    def read_secret(_name: str) -> str:
        assert password, "no password is needed"
        return password()

    return kind.open(CheckSpec(kind.name, kind, chosen), Resources(read_secret, renew_after))
