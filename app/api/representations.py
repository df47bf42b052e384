"""The ways in which a finding is written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.api import bodies, health_json, plain_text
from app.api.findings import Finding
from app.api.negotiation import preferred


@dataclass(frozen=True, slots=True)
class Representation:
    """One way to write a finding down, under the name that `format` has for it.

    Attributes:
        policy: what a browser may do with it.

    """

    name: str
    media_type: str
    write: Callable[[Finding], bytes]
    policy: Callable[[], str] | None = None

    @property
    def content_type(self) -> str:
        """The media type, with the encoding where that is not fixed."""
        text = self.media_type.startswith("text/")
        return f"{self.media_type}; charset=utf-8" if text else self.media_type


def _page(finding: Finding) -> bytes:
    # A start does not wait for the templates: most instances are never looked at.
    from app.api.page import page  # noqa: PLC0415

    return page(finding)


def _policy() -> str:
    from app.api.page import POLICY  # noqa: PLC0415

    return POLICY


JSON = Representation("json", "application/json", bodies.write)
TEXT = Representation("text", "text/plain", plain_text.write)

# What is preferred comes first: JSON, then what a person reads who has asked for it by name.
REPRESENTATIONS = (
    JSON,
    Representation("health+json", "application/health+json", health_json.write),
    TEXT,
    Representation("html", "text/html", _page, _policy),
)


def negotiated(
    accept: str, representations: Sequence[Representation] = REPRESENTATIONS
) -> Representation:
    """Choose the one that an `Accept` prefers.

    A page is for whoever asks for one by name: `*/*` is said by what reads no HTML.
    """
    offered = {
        one.media_type: one
        for one in representations
        if one.media_type != "text/html" or "text/html" in accept.lower()
    }
    return offered[preferred(accept, list(offered))]
