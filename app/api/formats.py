"""The ways in which a finding is written down."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mimeparse

from app.api.json_bodies import moment, write_json
from app.api.verdict import Verdict
from app.health import Observation, Status
from app.lifecycle import Phase


# Characters: no client sends more, and nobody shall keep the parser busy.
MAX_ACCEPT_LENGTH = 2048


def negotiate_media_type(accept: str, offered: Sequence[str]) -> str:
    """Choose among the media types on offer, the most welcome of them first.

    Where an `Accept` makes no choice or no sense, that is the first. Parameters such as
    `version=0.0.4` are ignored, as nothing here comes in more than one version.
    """
    if len(accept) > MAX_ACCEPT_LENGTH:
        return offered[0]
    try:
        return mimeparse.best_match(offered[::-1], accept.lower()) or offered[0]
    except mimeparse.MimeTypeParseException:
        return offered[0]


def write_text(verdict: Verdict) -> bytes:
    """Write a finding down in lines; the last one sums up."""
    lines = []
    if verdict.report is not None:
        lines = [_line(known) for known in verdict.report.checks]
        if verdict.phase is not Phase.SERVING and not verdict.alone:
            lines.append(f"[-]phase failed: {verdict.phase}")
        # What was asked for must not make lines of its own.
        lines += [re.sub("[^ -~]", "?", f"warn: {warning}") for warning in verdict.warnings]
    if verdict.detail:
        lines.append(f"[-]lifespan failed: {verdict.detail}")
    lines.append(f"health check {'passed' if verdict.passes else 'failed'}\n")
    return "\n".join(lines).encode()


def _line(known: Observation) -> str:
    if known.status is Status.PASS:
        return f"[+]{known.check.name} ok"
    severity = "failed" if known.check.required else "warn"
    return f"[-]{known.check.name} {severity}: {known.reason or known.status.word}"


# What a required check takes down with it.
AFFECTED = ["/health", "/health/ready"]


def write_health_json(verdict: Verdict) -> bytes:
    """Write a finding down in the draft's shape, which knows `pass`, `warn` and `fail` alone."""
    body: dict[str, Any] = {"status": _word(verdict.status)}
    if verdict.report is not None:
        body["checks"] = {
            f"{known.check.name}:responseTime": [_measured(known)]
            for known in verdict.report.checks
        }
        if verdict.phase is not Phase.SERVING and not verdict.alone:
            body["output"] = verdict.phase
        if verdict.warnings:
            body["notes"] = verdict.warnings
    if verdict.detail:
        body["output"] = verdict.detail
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _measured(known: Observation) -> dict[str, Any]:
    measured: dict[str, Any] = {"componentType": "component", "status": _word(known.status)}
    if known.observed:
        measured["observedValue"] = round(known.latency * 1000, 2)
        measured["observedUnit"] = "ms"
        measured["time"] = moment(known.observed)
    if known.status is not Status.PASS:
        measured["output"] = known.reason or known.status.word
        if known.check.required:
            measured["affectedEndpoints"] = AFFECTED
    return measured


def _word(status: Status) -> str:
    return (Status.FAIL if status is Status.UNKNOWN else status).word


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a finding down, under the name that `format` has for it.

    Attributes:
        policy: what a browser may do with it.

    """

    name: str
    media_type: str
    write: Callable[[Verdict], bytes]
    policy: Callable[[], str] | None = None

    @property
    def content_type(self) -> str:
        """The media type, with the encoding where that is not fixed."""
        text = self.media_type.startswith("text/")
        return f"{self.media_type}; charset=utf-8" if text else self.media_type


def _page(verdict: Verdict) -> bytes:
    # A start does not wait for the templates: most instances are never looked at.
    from app.api.page import page  # noqa: PLC0415

    return page(verdict)


def _policy() -> str:
    from app.api.page import POLICY  # noqa: PLC0415

    return POLICY


JSON = Format("json", "application/json", write_json)
TEXT = Format("text", "text/plain", write_text)

# What is preferred comes first: JSON, then what a person reads who has asked for it by name.
FORMATS = (
    JSON,
    Format("health+json", "application/health+json", write_health_json),
    TEXT,
    Format("html", "text/html", _page, _policy),
)


def negotiate(accept: str, representations: Sequence[Format] = FORMATS) -> Format:
    """Choose the one that an `Accept` prefers.

    A page is for whoever asks for one by name: `*/*` is said by what reads no HTML.
    """
    offered = {
        one.media_type: one
        for one in representations
        if one.media_type != "text/html" or "text/html" in accept.lower()
    }
    return offered[negotiate_media_type(accept, list(offered))]
