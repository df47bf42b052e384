"""The URLs of the dependencies, as far as they are accepted; no message holds a part of one."""

import contextlib
from pathlib import Path
from typing import Any

from redis.asyncio.connection import parse_url
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError


POSTGRES_FORM = "must read postgresql://user@host:port/database"
POSTGRES_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}
POSTGRES_QUERY = {"host", "sslmode", "sslrootcert"}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

REDIS_FORM = "must read redis://host:port/0, rediss://host:port/0 or unix:///path"
REDIS_PARTS = {"connection_class", "db", "host", "path", "port", "ssl_ca_certs", "username"}

HIGHEST_PORT = 65535


def postgres(text: str) -> str:
    """Read the URL of a PostgreSQL.

    Raises:
        ValueError: why it can't be used, and what to do.

    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(POSTGRES_FORM) from None
    query = {key: str(value) for key, value in url.query.items()}
    _demand(url.drivername in POSTGRES_SCHEMES, POSTGRES_FORM)
    _demand(url.password is None, "holds a password: put it into the secret postgres_password")
    _demand(url.username and (url.host or query.get("host")), POSTGRES_FORM)
    _demand(_is_port(url.port), POSTGRES_FORM)
    _demand(set(query) <= POSTGRES_QUERY, "may hold in its query host, sslmode and sslrootcert")
    mode = query.get("sslmode", "prefer")
    _demand(mode in SSL_MODES, f"has an unknown sslmode: use one of {', '.join(SSL_MODES)}")
    _demand_readable(query.get("sslrootcert"), "sslrootcert")
    return text


def redis(text: str) -> str:
    """Read the URL of a Redis.

    Raises:
        ValueError: why it can't be used, and what to do.

    """
    try:
        parts: dict[str, Any] = dict(parse_url(text))
    except ValueError:
        raise ValueError(REDIS_FORM) from None
    _demand("password" not in parts, "holds a password: put it into the secret redis_password")
    _demand(parts.get("host") or parts.get("path"), REDIS_FORM)
    _demand(_is_port(parts.get("port")), REDIS_FORM)
    _demand(set(parts) <= REDIS_PARTS, "may hold in its query db and ssl_ca_certs")
    _demand_readable(parts.get("ssl_ca_certs"), "ssl_ca_certs")
    return text


def _demand(condition: object, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port <= HIGHEST_PORT


def _demand_readable(path: str | None, name: str) -> None:
    if path is None:
        return
    with contextlib.suppress(OSError), Path(path).open():
        return
    msg = f"names a {name} that can't be read: mount the file, or correct the path"
    raise ValueError(msg)
