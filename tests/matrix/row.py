"""One way that a dependency fails, and what is promised of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from tests.matrix.stage import Stage


# What the interface promises for the settings of `tests.service.on`: an interval, a timeout and
# half a second; and where an open session can't see the fault, the renewal of the session.
BOUND = 0.2 + 0.4 + 0.5
RECONNECT = 0.5

Fault = Callable[[Stage], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How the service reaches a dependency.

    Attributes:
        environ: settings beside the stage's own.
        prepared: what has to be so while the service runs.

    """

    environ: Callable[[Stage], Mapping[str, str]] = lambda _: {}
    prepared: Fault = lambda _: nullcontext()


PROXIED = Scene()

# No session is renewed, so that what befalls one befalls the one that is kept.
KEPT = Scene(environ=lambda _: {"RECONNECT_INTERVAL": "86400"})


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        check: the dependency that is broken.
        name: what befalls it.
        fault: breaks it when entered, and mends it when left.
        reason: the word for it; None where the dependency can still serve.
        unseen: whether a session that is open can't see it.

    """

    check: str
    name: str
    fault: Fault
    reason: str | None
    unseen: bool = False
    scene: Scene = PROXIED

    @property
    def bound(self) -> float:
        """Seconds within which it is told."""
        return BOUND + (RECONNECT if self.unseen else 0)
