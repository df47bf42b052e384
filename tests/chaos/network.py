"""Faults of the network between the service and any dependency."""

import contextlib
import functools
from collections.abc import Iterator
from unittest import mock

from tests.chaos import row
from tests.chaos.row import Row, Setup
from tests.chaos.stage import Environment
from tests.support.faults import fault
from tests.support.faults.nameserver import Manner


FAULTS = (
    ("refused", fault.Refuse(), "refused"),
    ("blackholed: SYN not answered, backlog full", fault.Blackhole(), "connect_timeout"),
    ("accepted, then silent", fault.Silent(), "timeout"),
    ("silent in the middle of an answer", fault.Stall(5), "timeout"),
    ("reset in the middle of an answer", fault.Reset(5), "disconnected"),
    ("closed in the middle of an answer", fault.Cut(5), "disconnected"),
    ("slow: one byte at a time", fault.Slow(1, 0.1), "timeout"),
    ("corrupted bytes", fault.Corrupt(), "protocol"),
)
DNS_FAULTS = (
    ("name unknown", Manner.NXDOMAIN),
    ("name server failing", Manner.SERVFAIL),
    ("name server silent", Manner.SILENT),
)


@functools.cache
def by_name(check: str) -> Setup:
    """Return a setup whose URL has the dependency's host name."""
    return Setup(environ=lambda environment: environment.check_url(check, host=f"{check}.test"))


def rows(check: str) -> tuple[Row, ...]:
    """Return the network rows of one dependency."""
    keeps_session = check != "http"  # an HTTP check opens a connection for each request
    return (
        *(Row(check, name, through_proxy(check, kind), reason) for name, kind, reason in FAULTS),
        *(
            Row(check, name, name_server(manner), "dns", keeps_session, by_name(check))
            for name, manner in DNS_FAULTS
        ),
    )


def through_proxy(check: str, kind: fault.Fault) -> row.Fault:
    """Return a fault of the proxy in front of a dependency."""

    @contextlib.contextmanager
    def broken(environment: Environment) -> Iterator[None]:
        environment.proxies[check].break_with(kind)
        try:
            yield
        finally:
            environment.proxies[check].heal()

    return broken


def name_server(manner: Manner) -> row.Fault:
    """Return a fault of the name server."""
    return lambda environment: mock.patch.object(environment.names, "manner", manner)
