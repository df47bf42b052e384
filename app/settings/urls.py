"""The URLs of the dependencies, as far as they are accepted; no message holds a part of one."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit


POSTGRES_FORM = "must read postgresql://user@host:port/database"
POSTGRES_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}
POSTGRES_QUERY = {"host", "sslmode", "sslrootcert"}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

REDIS_FORM = "must read redis://host:port/0, rediss://host:port/0 or unix:///path"
REDIS_QUERY = {"db", "ssl_ca_certs"}

BLANK = "holds a blank or a line break: remove it"

HIGHEST_PORT = 65535


def parse_postgres_url(text: str) -> str:
    """Read the URL of a PostgreSQL.

    Raises:
        ValueError: why it can't be used, and what to do.

    """
    # Imported where there is such a store: it takes a fifth of the start.
    from sqlalchemy import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(POSTGRES_FORM) from None
    query = {key: str(value) for key, value in url.query.items()}
    _demand(_is_plain(text), BLANK)
    _demand(url.drivername in POSTGRES_SCHEMES, POSTGRES_FORM)
    _demand(url.password is None, "holds a password: put it into the secret postgres_password")
    _demand(url.username and (url.host or query.get("host")), POSTGRES_FORM)
    _demand(query.get("host", "/").startswith("/"), "has in its query a host that is no folder")
    _demand(_is_port(url.port), POSTGRES_FORM)
    _demand(set(query) <= POSTGRES_QUERY, "may hold in its query host, sslmode and sslrootcert")
    mode = query.get("sslmode", "prefer")
    _demand(mode in SSL_MODES, f"has an unknown sslmode: use one of {', '.join(SSL_MODES)}")
    _demand_authority(query.get("sslrootcert"), "sslrootcert")
    verifies = mode in {"require", "verify-ca", "verify-full"} or "sslrootcert" not in query
    _demand(verifies, "names a sslrootcert that verifies nothing: add sslmode=verify-full")
    return text


def parse_redis_url(text: str) -> str:
    """Read the URL of a Redis.

    Raises:
        ValueError: why it can't be used, and what to do.

    """
    from redis.asyncio.connection import parse_url  # noqa: PLC0415 - as above

    try:
        url = urlsplit(text)
        parts: dict[str, Any] = dict(parse_url(url._replace(query="").geturl()))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
    except ValueError:
        raise ValueError(REDIS_FORM) from None
    _demand(_is_plain(text), BLANK)
    _demand("password" not in parts, "holds a password: put it into the secret redis_password")
    _demand(parts.get("path") if url.scheme == "unix" else parts.get("host"), REDIS_FORM)
    _demand(url.scheme != "unix" or not url.hostname, REDIS_FORM)
    _demand(_is_port(parts.get("port")), REDIS_FORM)
    _demand(query.keys() <= REDIS_QUERY, "may hold in its query db and ssl_ca_certs")
    database = query.get("db") or ("" if "path" in parts else url.path.strip("/"))
    _demand(not database or database.isdecimal(), "must have a number as its database")
    verifies = url.scheme == "rediss" or "ssl_ca_certs" not in query
    _demand(verifies, "names a ssl_ca_certs that verifies nothing: begin it with rediss://")
    _demand_authority(query.get("ssl_ca_certs"), "ssl_ca_certs")
    return text


def _demand(condition: object, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _is_plain(text: str) -> bool:
    """Whether it is all visible: some parsers drop what is not, and some keep it."""
    return text.isprintable() and " " not in text


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port <= HIGHEST_PORT


def _demand_authority(path: str | None, name: str) -> None:
    if path is None:
        return
    from app.checks.tls import CaCertificateError, TrustStore  # noqa: PLC0415 - as above

    try:
        TrustStore(path).load()
    except CaCertificateError:
        msg = f"names a {name} that can't be used: mount a PEM file there, or correct the path"
        raise ValueError(msg) from None
