"""One fault of a dependency, and how Vitals must report it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tests.chaos.stage import Environment


# Seconds within which a fault must be reported with the settings of `tests.support.service.on`:
# interval, timeout and half a second. If an open session can't see the fault, add the renewal
# interval.
BOUND = 0.2 + 0.4 + 0.5
RECONNECT = 0.5

Fault = Callable[[Environment], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How the service reaches a dependency.

    Attributes:
        environ: settings that override those of the environment.
        prepare: what must be in place while the service runs.
    """

    environ: Callable[[Environment], Mapping[str, str]] = lambda _: {}
    prepare: Fault = lambda _: nullcontext()


PROXIED = Setup()

# Sessions are never renewed, so a fault that ends a session meets the one that the probe keeps.
LONG_SESSIONS = Setup(environ=lambda _: {"RECONNECT_INTERVAL": "86400"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the fault matrix.

    Attributes:
        check: the dependency that is broken.
        name: what is wrong with it.
        fault: context manager that causes the fault and repairs it on exit.
        reason: the reason that Vitals must report; None if the dependency can still serve.
        unseen: whether an open session can't see the fault.
    """

    check: str
    name: str
    fault: Fault
    reason: str | None
    unseen: bool = False
    setup: Setup = PROXIED

    @property
    def bound(self) -> float:
        """Seconds within which the fault must be reported."""
        return BOUND + (RECONNECT if self.unseen else 0)
