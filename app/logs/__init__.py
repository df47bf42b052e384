"""The log: an event a line, with fields, and nothing in it that should not be there."""

from app.logs.filters import without_chatter
from app.logs.setup import configure, configure_if_nobody_has


__all__ = ["configure", "configure_if_nobody_has", "without_chatter"]
