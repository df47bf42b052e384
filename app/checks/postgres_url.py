"""The URLs of PostgreSQL, as libpq, SQLAlchemy and asyncpg read them.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from app.checks.postgres_statement import ATTRIBUTES
from app.checks.urls import PASSWORD, WHITESPACE, ensure, is_plain, split_hosts, split_query


FORM = "must have the form postgresql://user@host:port/database. Correct it."
URL = re.compile(
    r"postgres(?:ql(?:\+\w+)?)?://(?:([^/?#]*)@)?([^/?#@]*)(?:/([^?#]*))?(?:\?([^#]*))?",
    re.IGNORECASE,
)

DEFAULT_PORT = 5432

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

# The options that decide where and how to connect, and those that change nothing for a check.
TLS_FILES = ("sslrootcert", "sslcert", "sslkey")
USED = {
    "dbname",
    "host",
    "password",
    "port",
    "ssl",
    "sslmode",
    "target_session_attrs",
    "user",
    *TLS_FILES,
}
IGNORED = {
    "application_name",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "prepared_statement_cache_size",
    "sslsni",
    "tcp_user_timeout",
}


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """What a URL says.

    Attributes:
        hosts: each a name or an address, or the folder of a Unix socket, and its port.
        attributes: of the sessions that are wanted, a key of `ATTRIBUTES`.
        tls_files: the files of `TLS_FILES`. Without CAs, the system's are trusted.
    """

    hosts: tuple[tuple[str, int], ...]
    user: str
    database: str
    ssl_mode: str
    tls_files: Mapping[str, str]
    attributes: str

    @classmethod
    def parse(cls, text: str) -> "PostgresTarget":
        """Return what a URL says, or raise a ValueError with the remedy."""
        ensure(is_plain(text), WHITESPACE)
        if not (match := URL.fullmatch(text)):
            raise ValueError(FORM)
        user, netloc, path, query = (part or "" for part in match.groups())
        pairs = split_query(query, USED | IGNORED)
        options = dict(pairs)
        user, has_password, _ = user.partition(":")
        ensure(not has_password and "password" not in options, PASSWORD)
        # SQLAlchemy repeats the option for each host.
        listed = ",".join(value for name, value in pairs if name == "host")
        host = listed or unquote(netloc)
        hosts = tuple(split_hosts(host, options.get("port"), DEFAULT_PORT, FORM))
        user = options.get("user") or unquote(user)
        database = options.get("dbname") or unquote(path) or user
        ensure(user and all(map(str.isprintable, (user, database))), FORM)
        attributes = options.get("target_session_attrs", "any")
        problem = f"unknown target_session_attrs. Use one of {', '.join(ATTRIBUTES)}."
        ensure(attributes in ATTRIBUTES, problem)
        return cls(hosts, user, database, *_ssl_options(options), attributes)


def _ssl_options(options: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """Return the mode and the files.

    SQLAlchemy passes `ssl` to asyncpg, where it means the same as `sslmode`. Of JDBC, libpq knows
    `ssl=true`.
    """
    files = {name: options[name] for name in TLS_FILES if name in options}
    root = files.get("sslrootcert")
    default = "verify-full" if root == "system" else "prefer"
    mode = options.get("sslmode") or options.get("ssl") or default
    mode = "require" if mode == "true" else mode
    ensure(mode in SSL_MODES, f"unknown sslmode. Use one of {', '.join(SSL_MODES)}.")
    if root == "system":
        ensure(mode == default, "sslrootcert=system needs sslmode=verify-full. Write that.")
        del files["sslrootcert"]
        return mode, files
    verifies = mode in {"require", "verify-ca", "verify-full"} or root is None
    ensure(verifies, "sslrootcert needs verification. Add sslmode=verify-full.")
    return mode, files
