"""The formats of a verdict, and the choice among them by the `Accept` header."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mimeparse

from app.api.json_bodies import write_json
from app.api.verdict import Verdict
from app.health import Observation, Status
from app.lifecycle import Phase
from app.text import format_time


# Characters: real clients send less, and a longer header would keep the parser busy.
MAX_ACCEPT_LENGTH = 2048


def negotiate_media_type(accept: str, offered: Sequence[str]) -> str:
    """Choose the offered media type that `Accept` prefers; the first if it prefers none.

    Parameters such as `version=0.0.4` are ignored: each type is offered in one version.
    """
    if len(accept) > MAX_ACCEPT_LENGTH:
        return offered[0]
    try:
        return mimeparse.best_match(offered[::-1], accept.lower()) or offered[0]
    except mimeparse.MimeTypeParseException:
        return offered[0]


def write_text(verdict: Verdict) -> bytes:
    """Return a verdict as Kubernetes' `?verbose` does: a line for each check, then a summary."""
    lines = list[str]()
    if verdict.report is not None:
        lines += map(_line, verdict.listed)
        lines += [f"[+]others ok: {verdict.others}"] if verdict.others else []
        if verdict.phase is not Phase.SERVING and not verdict.is_single_check:
            lines.append(f"[-]phase failed: {verdict.phase}")
        lines += [f"warn: {warning}" for warning in verdict.warnings]
    if verdict.detail:
        lines.append(f"[-]lifespan failed: {verdict.detail}")
    lines.append(f"health check {'passed' if verdict.passes else 'failed'}\n")
    return "\n".join(lines).encode()


def _line(observation: Observation) -> str:
    if observation.status is Status.PASS:
        return f"[+]{observation.check.name} ok"
    severity = "failed" if observation.check.required else "warn"
    cause = observation.reason or observation.status.word
    return f"[-]{observation.check.name} {severity}: {cause}"


# The endpoints that fail with a required check.
AFFECTED = ["/health", "/health/ready"]


def write_health_json(verdict: Verdict) -> bytes:
    """Return a verdict in the format of the IETF draft for `application/health+json`.

    The draft has the statuses `pass`, `warn` and `fail` only:
    https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
    """
    body: dict[str, Any] = {"status": _draft_status(verdict.status)}
    if verdict.report is not None:
        body["checks"] = {
            f"{observation.check.name}:responseTime": [_draft_check(observation)]
            for observation in verdict.listed
        }
        if verdict.phase is not Phase.SERVING and not verdict.is_single_check:
            body["output"] = verdict.phase
        others = [f"{verdict.others} other checks pass"] if verdict.others else []
        if notes := [*others, *verdict.warnings]:
            body["notes"] = notes
    if verdict.detail:
        body["output"] = verdict.detail
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _draft_check(observation: Observation) -> dict[str, Any]:
    check: dict[str, Any] = {
        "componentType": "component",
        "status": _draft_status(observation.status),
    }
    if observation.observed:
        check["observedValue"] = round(observation.latency * 1000, 2)
        check["observedUnit"] = "ms"
        check["time"] = format_time(observation.observed.wall)
    if observation.status is not Status.PASS:
        check["output"] = observation.reason or observation.status.word
        if observation.check.required:
            check["affectedEndpoints"] = AFFECTED
    return check


def _draft_status(status: Status) -> str:
    return (Status.FAIL if status is Status.UNKNOWN else status).word


@dataclass(frozen=True, slots=True)
class Format:
    """A format of a verdict, with its name in `?format=`."""

    name: str
    content_type: str
    write: Callable[[Verdict], bytes]

    @property
    def media_type(self) -> str:
        """The content type without parameters."""
        return self.content_type.partition(";")[0]


def _write_page(verdict: Verdict) -> bytes:
    # Imported on the first use: most instances never render a page, and templates load slowly.
    from app.api.page import render_page  # noqa: PLC0415

    return render_page(verdict)


JSON = Format("json", "application/json", write_json)
HEALTH_JSON = Format("health+json", "application/health+json", write_health_json)
TEXT = Format("text", "text/plain; charset=utf-8", write_text)
HTML = Format("html", "text/html; charset=utf-8", _write_page)

# In the order of preference where a client accepts several formats equally.
FORMATS = (JSON, HEALTH_JSON, TEXT, HTML)


def negotiate(
    accept: str, formats: Sequence[Format] = FORMATS, *, is_navigation: bool = False
) -> Format:
    """Choose the format that `Accept` prefers.

    A client gets HTML only if it names `text/html`, and not also `*/*` unless it navigates. Some
    monitors send what browsers send, and expect JSON.

    Args:
        is_navigation: whether a browser opens the URL, rather than a script or a monitor.
    """
    text = accept.lower()
    accepts_html = "text/html" in text and (is_navigation or "*/*" not in text)
    offered = {
        one.media_type: one for one in formats if one.media_type != "text/html" or accepts_html
    }
    return offered[negotiate_media_type(accept, list(offered))]
