"""Validation of the dependencies' URLs. No message contains a part of one."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit


POSTGRES_FORM = "must have the form postgresql://user@host:port/database. Correct it."
POSTGRES_SCHEMES = {"postgres", "postgresql", "postgresql+asyncpg"}
POSTGRES_QUERY = {"host", "sslmode", "sslrootcert"}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

REDIS_FORM = (
    "must have the form redis://host:port/0, rediss://host:port/0 or unix:///path. Correct it."
)
REDIS_QUERY = {"db", "ssl_ca_certs"}

WHITESPACE = "contains a space or a line break. Remove it."
PASSWORD = "a password is not allowed in the URL. Put it in the secret {}."  # noqa: S105 - a message

HIGHEST_PORT = 65535


def parse_postgres_url(text: str) -> str:
    """Return the URL of a PostgreSQL server, if it is valid.

    Raises:
        ValueError: it is not valid; with the remedy.
    """
    # Imported only if this setting is used: it takes a fifth of the startup time.
    from sqlalchemy import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(POSTGRES_FORM) from None
    query = {key: str(value) for key, value in url.query.items()}
    _require(_is_plain(text), WHITESPACE)
    _require(url.drivername in POSTGRES_SCHEMES, POSTGRES_FORM)
    _require(url.password is None, PASSWORD.format("postgres_password"))
    _require(url.username and (url.host or query.get("host")), POSTGRES_FORM)
    _require(
        query.get("host", "/").startswith("/"),
        "the host in the query must be the folder of a Unix socket. Correct it.",
    )
    _require(_is_port(url.port), POSTGRES_FORM)
    _require(
        set(query) <= POSTGRES_QUERY,
        "the query may contain only host, sslmode and sslrootcert. Remove the rest.",
    )
    mode = query.get("sslmode", "prefer")
    _require(mode in SSL_MODES, f"unknown sslmode. Use one of {', '.join(SSL_MODES)}.")
    _require_ca_file(query.get("sslrootcert"), "sslrootcert")
    verifies = mode in {"require", "verify-ca", "verify-full"} or "sslrootcert" not in query
    _require(verifies, "sslrootcert needs verification. Add sslmode=verify-full.")
    return text


def parse_redis_url(text: str) -> str:
    """Return the URL of a Redis server, if it is valid.

    Raises:
        ValueError: it is not valid; with the remedy.
    """
    from redis.asyncio.connection import parse_url  # noqa: PLC0415 - as above

    try:
        url = urlsplit(text)
        parts: dict[str, Any] = dict(parse_url(url._replace(query="").geturl()))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
    except ValueError:
        raise ValueError(REDIS_FORM) from None
    _require(_is_plain(text), WHITESPACE)
    _require("password" not in parts, PASSWORD.format("redis_password"))
    _require(parts.get("path") if url.scheme == "unix" else parts.get("host"), REDIS_FORM)
    _require(url.scheme != "unix" or not url.hostname, REDIS_FORM)
    _require(_is_port(parts.get("port")), REDIS_FORM)
    _require(
        query.keys() <= REDIS_QUERY,
        "the query may contain only db and ssl_ca_certs. Remove the rest.",
    )
    database = query.get("db") or ("" if "path" in parts else url.path.strip("/"))
    _require(not database or database.isdecimal(), "the database must be a number. Correct it.")
    verifies = url.scheme == "rediss" or "ssl_ca_certs" not in query
    _require(verifies, "ssl_ca_certs needs TLS. Use rediss://.")
    _require_ca_file(query.get("ssl_ca_certs"), "ssl_ca_certs")
    return text


def _require(condition: object, problem: str) -> None:
    if not condition:
        raise ValueError(problem)


def _is_plain(text: str) -> bool:
    """Return whether every character is visible: some parsers remove others, and some keep them."""
    return text.isprintable() and " " not in text


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port <= HIGHEST_PORT


def _require_ca_file(path: str | None, name: str) -> None:
    if path is None:
        return
    from app.checks.tls import CaCertificateError, TrustStore  # noqa: PLC0415 - as above

    try:
        TrustStore(path).load()
    except CaCertificateError:
        msg = f"the file of {name} can't be used. Mount a PEM file there, or correct the path."
        raise ValueError(msg) from None
