"""The ways in which a finding is written down."""

from collections.abc import Callable
from dataclasses import dataclass

from app.api import bodies
from app.api.findings import Finding


@dataclass(frozen=True, slots=True)
class Representation:
    """One way to write a finding down, under the name that `format` has for it."""

    name: str
    media_type: str
    write: Callable[[Finding], bytes]

    @property
    def content_type(self) -> str:
        """The media type, with the encoding where that is not fixed."""
        text = self.media_type.startswith("text/")
        return f"{self.media_type}; charset=utf-8" if text else self.media_type


JSON = Representation("json", "application/json", bodies.write)

# What is preferred comes first.
REPRESENTATIONS = (JSON,)
