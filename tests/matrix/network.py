"""What befalls any dependency on the way to it."""

import contextlib
from collections.abc import Iterator

from tests.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent, Slow, Stall
from tests.faults.nameserver import Manner
from tests.matrix import row
from tests.matrix.row import Row, Scene
from tests.matrix.stage import Stage


FAULTS = (
    ("refused", Refuse(), "refused"),
    ("blackholed: no SYN is answered, the backlog is full", Blackhole(), "connect_timeout"),
    ("accepted, then silent", Silent(), "timeout"),
    ("silent in the middle of an answer", Stall(5), "timeout"),
    ("reset in the middle of an answer", Reset(5), "disconnected"),
    ("closed in the middle of an answer", Cut(5), "disconnected"),
    ("trickling, byte by byte", Slow(1, 0.1), "timeout"),
)
MANNERS = (
    ("name unknown", Manner.NXDOMAIN),
    ("name server failing", Manner.SERVFAIL),
    ("name server silent", Manner.SILENT),
)


def named(check: str) -> Scene:
    """The dependency is called by its name."""
    return Scene(environ=lambda stage: stage.reaching(check, host=f"{check}.test"))


def rows(check: str, called: Scene) -> tuple[Row, ...]:
    """The lines of one dependency.

    Args:
        called: the scene in which it is called by its name.

    """
    kept = check != "http"  # where every question has a connection of its own
    return (
        *(Row(check, name, through(check, fault), reason) for name, fault, reason in FAULTS),
        Row(check, "garbled", through(check, Corrupt()), "protocol"),
        *(Row(check, name, asking(manner), "dns", kept, called) for name, manner in MANNERS),
    )


def through(check: str, fault: Fault) -> row.Fault:
    """Break what goes through the proxy."""

    @contextlib.contextmanager
    def broken(stage: Stage) -> Iterator[None]:
        stage.proxies[check].break_with(fault)
        try:
            yield
        finally:
            stage.proxies[check].heal()

    return broken


def asking(manner: Manner) -> row.Fault:
    """Have the name server treat its clients so."""

    @contextlib.contextmanager
    def broken(stage: Stage) -> Iterator[None]:
        stage.names.manner = manner
        try:
            yield
        finally:
            stage.names.manner = Manner.ANSWER

    return broken
