"""The URLs of Redis, as redis-py and its relatives read them.

https://redis.readthedocs.io/en/stable/connections.html#redis.connection.ConnectionPool.from_url
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from app.checks.tls import TrustStore
from app.checks.urls import (
    PASSWORD,
    WHITESPACE,
    ensure,
    is_plain,
    split_hosts,
    split_query,
)


# What the hosts of a URL are: the end of its scheme.
SERVER, CLUSTER, SENTINEL = "", "+cluster", "+sentinel"
FORMS = {
    SERVER: "redis://host:port/0, rediss://host:port/0 or unix:///path",
    CLUSTER: "redis+cluster://host:port,host:port",
    SENTINEL: "redis+sentinel://host:port,host:port/service/0",
}
PORTS = {SERVER: 6379, CLUSTER: 6379, SENTINEL: 26379}
URL = re.compile(
    r"(rediss?|unix)(\+cluster|\+sentinel)?://(?:([^/?#]*)@)?([^/?#@]*)(/[^?#]*)?(?:\?([^#]*))?",
    re.IGNORECASE,
)
DATABASE = re.compile(r"[0-9]{1,9}")

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = {*TLS_FILES, "ssl_cert_reqs", "ssl_check_hostname"}

# The options that decide where and how to connect, and those that change nothing for a check.
USED = {"db", "host", "password", "port", "username", *TLS_OPTIONS}
IGNORED = {
    "client_name",
    "decode_responses",
    "encoding",
    "encoding_errors",
    "family",
    "health_check_interval",
    "legacy_responses",
    "lib_name",
    "lib_version",
    "max_connections",
    "protocol",
    "retry_on_error",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_read_size",
    "socket_timeout",
    "timeout",
}

# Whether the server's certificate is verified, by the value of ssl_cert_reqs.
VERIFICATION = {"none": False, "optional": True, "required": True}
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """What a URL says.

    Attributes:
        hosts: each a name or an address, or the path of a Unix socket, and its port.
        tls: how to use TLS; None without it.
        mode: what the hosts are: `SERVER`, `CLUSTER` or `SENTINEL`.
        service: the name under which Sentinels know the primary.
    """

    hosts: tuple[tuple[str, int], ...]
    username: str
    database: int
    tls: "TlsTarget | None"
    mode: str
    service: str

    @classmethod
    def parse(cls, text: str) -> "RedisTarget":
        """Return what a URL says, or raise a ValueError with the remedy."""
        ensure(is_plain(text), WHITESPACE)
        if not (match := URL.fullmatch(text)):
            raise ValueError(_form(SERVER))
        scheme, mode, user, netloc, path, query = (part or "" for part in match.groups())
        scheme, mode = scheme.lower(), mode.lower()
        form, service = _form(mode), ""
        options = dict(split_query(query, USED | IGNORED))
        user, _, password = user.partition(":")
        ensure(not password and "password" not in options, PASSWORD)
        if scheme == "unix":
            ensure(path.strip("/") and not netloc and not mode, form)
            hosts, path = [(unquote(path), 0)], ""
        else:
            host = options.get("host") or unquote(netloc)
            hosts = list(split_hosts(host, options.get("port"), PORTS[mode], form))
            ensure(mode or len(hosts) == 1, form)
        if mode == SENTINEL:
            service, _, path = path.removeprefix("/").partition("/")
            ensure(service, form)
        database = options.get("db") or unquote(path).strip("/") or "0"
        ensure(DATABASE.fullmatch(database), "the database must be a number. Correct it.")
        is_possible = mode != CLUSTER or not int(database)
        ensure(is_possible, "a cluster has only database 0. Correct it.")
        return cls(
            tuple(hosts),
            options.get("username") or unquote(user),
            int(database),
            _parse_tls(options, has_tls=scheme == "rediss"),
            mode,
            unquote(service),
        )


def _form(mode: str) -> str:
    return f"must have the form {FORMS[mode]}. Correct it."


@dataclass(frozen=True, slots=True)
class TlsTarget:
    """How to use TLS.

    Attributes:
        files: with the CAs, the client's certificate and the key of that, by their options.
    """

    files: Mapping[str, str]
    verify: bool
    check_hostname: bool

    def trust(self, system: TrustStore) -> TrustStore:
        """Return the servers to trust; *system* if the URL says nothing about them."""
        if self == SYSTEM:
            return system
        files = map(self.files.get, TLS_FILES)
        return TrustStore(*files, verify=self.verify, check_hostname=self.check_hostname)


SYSTEM = TlsTarget({}, verify=True, check_hostname=True)


def _parse_tls(options: Mapping[str, str], *, has_tls: bool) -> TlsTarget | None:
    for name in TLS_OPTIONS & options.keys():
        ensure(has_tls, f"{name} needs TLS. Use rediss://.")
    if not has_tls:
        return None
    files = {name: options[name] for name in TLS_FILES if name in options}
    requirement = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    ensure(
        requirement in VERIFICATION, "ssl_cert_reqs must be none, optional or required. Correct it."
    )
    flag = options.get("ssl_check_hostname", "true").lower()
    ensure(flag in FLAGS, "ssl_check_hostname must be true or false. Correct it.")
    return TlsTarget(files, VERIFICATION[requirement], FLAGS[flag])
