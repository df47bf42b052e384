"""The questions that can be asked, and where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.security import HTTPBearer
from starlette.types import Scope

from app.api import findings
from app.api.bodies import CheckBody, ErrorBody, HealthBody, StatusBody
from app.api.findings import Question
from app.api.metrics import WRITERS
from app.api.representations import REPRESENTATIONS, TEXT


Parameter = dict[str, Any]

FORMATS = {one.name: one for one in REPRESENTATIONS}

# The parameters, as OpenAPI documents them; they are read by hand, as nothing may be refused.
FORMAT: Parameter = {
    "name": "format",
    "in": "query",
    "description": "The representation, whatever `Accept` says.",
    "schema": {"type": "string", "enum": list(FORMATS)},
}
VERBOSE: Parameter = {
    "name": "verbose",
    "in": "query",
    "description": "As in Kubernetes: a line for each check, unless `format` says otherwise.",
    "allowEmptyValue": True,
    "schema": {"type": "string"},
}
EXCLUDE: Parameter = {
    "name": "exclude",
    "in": "query",
    "description": "A check to leave out, repeatable; an unknown name is told in `warnings`.",
    "schema": {"type": "array", "items": {"type": "string"}},
}
NAME: Parameter = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The name of a check.",
    "schema": {"type": "string"},
}

# How operators are documented, who may come or not. It refuses nobody: access is read by hand.
OPERATOR = HTTPBearer(
    bearerFormat="JWT",
    scheme_name="operator",
    description="A token of `vitals token`. Without a valid one the code is the same, and the "
    "body has what `HEALTH_DETAILS` shows to everybody.",
    auto_error=False,
)
ANYBODY: dict[str, list[str]] = {}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question and the paths on which it is asked; the first is the documented one.

    Attributes:
        question: none where Prometheus asks, which is told everything at once.

    """

    summary: str
    paths: tuple[str, ...]
    question: Callable[[Request], Question] | None
    bodies: dict[int | str, Any]
    parameters: tuple[Parameter, ...] = (FORMAT, VERBOSE)

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """What OpenAPI is told of the answers."""
        if self.question is None:
            return {200: {"content": {one: {"schema": {"type": "string"}} for one in WRITERS}}}
        bodies = {**self.bodies, 400: ErrorBody}
        return {code: _documented(code, body) for code, body in bodies.items()}


def _ready(request: Request) -> Question:
    return findings.ready(request.query_params.getlist("exclude"))


ENDPOINTS = (
    Endpoint(
        "Whether this instance should be sent work, and why not",
        ("/health", "/healthz"),
        _ready,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, FORMAT, VERBOSE),
    ),
    Endpoint(
        "Whether this instance should be sent work",
        ("/health/ready", "/readyz"),
        _ready,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, FORMAT, VERBOSE),
    ),
    Endpoint(
        "Whether the process answers",
        ("/health/live", "/livez"),
        lambda _: findings.live,
        {200: StatusBody},
    ),
    Endpoint(
        "Whether every check has had a first result",
        ("/health/started", "/startupz"),
        lambda _: findings.started,
        {200: StatusBody, 503: StatusBody},
    ),
    Endpoint(
        "Whether one dependency passes",
        ("/health/checks/{name}",),
        lambda request: findings.check(request.path_params["name"]),
        {200: CheckBody, 503: CheckBody, 404: ErrorBody},
        (NAME, FORMAT, VERBOSE),
    ),
    Endpoint("What is known, for Prometheus", ("/metrics",), None, {}, ()),
)

PATHS = frozenset(path for endpoint in ENDPOINTS for path in endpoint.paths)


def _documented(code: int | str, body: Any) -> dict[str, Any]:
    """Document a body in JSON, and that it has other representations if it tells of health."""
    others = REPRESENTATIONS[1:] if code in {200, 503} else ()
    content = {
        one.media_type: {"schema": {"type": "string" if one is TEXT else "object"}}
        for one in others
    }
    return {"model": body, "content": content}


def is_probe(path: str) -> bool:
    """Whether a path is one on which a question is asked."""
    return path.startswith("/health/") or path.rstrip("/") in PATHS


def is_liveness(path: str) -> bool:
    """Return whether a path is liveness', which is answered however many requests wait."""
    return path.rstrip("/") in {"/health/live", "/livez"}


def route_path(scope: Scope) -> str:
    """Return the path below the one where a server or another application mounts this one."""
    path: str = scope.get("path", "")
    root = scope.get("root_path", "")
    # Not every server puts the root into the path: https://asgi.readthedocs.io/en/latest/specs/www.html
    return path.removeprefix(root) if path.startswith(f"{root}/") else path
