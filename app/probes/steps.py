"""The steps on the way to an answer, told to whoever asks how far an attempt has come."""

from collections.abc import Callable
from contextvars import ContextVar
from enum import StrEnum


class Step(StrEnum):
    """What an attempt goes through, in this order; not every one needs each."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    AUTHENTICATION = "auth"
    QUERY = "query"


def unheard(step: Step) -> None:
    """Keep nothing of a step."""


# Hears of each step that an attempt begins, in that attempt's task alone.
LISTENER: ContextVar[Callable[[Step], None]] = ContextVar("LISTENER", default=unheard)


def begins(step: Step) -> None:
    """Tell that a step begins, and that the one before it is over."""
    LISTENER.get()(step)
