"""The paths: by which names and methods each answer is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.api.answers import HEADERS, NEVER_RUN, Answer, Answers, UnavailableAnswers, error
from app.api.formats import FORMATS, TEXT, Format, negotiate
from app.api.json_bodies import CheckBody, ErrorBody, HealthBody, StatusBody
from app.api.metrics import WRITERS
from app.api.response_cache import CachedResponse
from app.api.verdict import HealthQuery, liveness, readiness, single_check, startup


Parameter = dict[str, Any]

FORMATS_BY_NAME = {one.name: one for one in FORMATS}

# The parameters, as OpenAPI documents them; they are read by hand, as nothing may be refused.
FORMAT: Parameter = {
    "name": "format",
    "in": "query",
    "description": "The representation, whatever `Accept` says.",
    "schema": {"type": "string", "enum": list(FORMATS_BY_NAME)},
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
    health_query: Callable[[Request], HealthQuery] | None
    bodies: dict[int | str, Any]
    parameters: tuple[Parameter, ...] = (FORMAT, VERBOSE)

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """What OpenAPI is told of the answers."""
        if self.health_query is None:
            return {200: {"content": {one: {"schema": {"type": "string"}} for one in WRITERS}}}
        bodies = {**self.bodies, 400: ErrorBody}
        return {code: _documented(code, body) for code, body in bodies.items()}


def _ready_question(request: Request) -> HealthQuery:
    return readiness(request.query_params.getlist("exclude"))


ENDPOINTS = (
    Endpoint(
        "Whether this instance should be sent work, and why not",
        ("/health", "/healthz"),
        _ready_question,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, FORMAT, VERBOSE),
    ),
    Endpoint(
        "Whether this instance should be sent work",
        ("/health/ready", "/readyz"),
        _ready_question,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, FORMAT, VERBOSE),
    ),
    Endpoint(
        "Whether the process answers",
        ("/health/live", "/livez"),
        lambda _: liveness,
        {200: StatusBody},
    ),
    Endpoint(
        "Whether every check has had a first result",
        ("/health/started", "/startupz"),
        lambda _: startup,
        {200: StatusBody, 503: StatusBody},
    ),
    Endpoint(
        "Whether one dependency passes",
        ("/health/checks/{name}",),
        lambda request: single_check(request.path_params["name"]),
        {200: CheckBody, 503: CheckBody, 404: ErrorBody},
        (NAME, FORMAT, VERBOSE),
    ),
    Endpoint("What is known, for Prometheus", ("/metrics",), None, {}, ()),
)

PATHS = frozenset(path for endpoint in ENDPOINTS for path in endpoint.paths)


def _documented(code: int | str, body: Any) -> dict[str, Any]:
    """Document a body in JSON, and that it has other representations if it tells of health."""
    others = FORMATS[1:] if code in {200, 503} else ()
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


METHODS = ("GET", "HEAD", "OPTIONS")

ROOT = """\
Vitals answers, truthfully and at once, whether this deployment's dependencies can serve.

  /health                   the same as /health/ready
  /health/ready             200 while this instance serves and every required check passes
  /health/live              200 while the process answers, whatever its dependencies do
  /health/started           200 once every check has had a first result
  /health/checks/{name}     200 while that dependency passes
  /metrics                  all of it for Prometheus, always 200
  /openapi.json             all of this, for programs

Kubernetes' names work too: /healthz /readyz /livez /startupz
Queries: exclude=NAME leaves a check out, format=json|health+json|text|html names the
representation, verbose is format=text
"""


def install(app: FastAPI) -> None:
    """Give the application its paths; while it serves, `app.state.answers` is an `Answers`."""
    app.state.answers = UnavailableAnswers(NEVER_RUN)
    for endpoint in ENDPOINTS:
        _add(app, endpoint)
    app.add_route("/", _root, methods=list(METHODS), include_in_schema=False)
    app.add_exception_handler(HTTPException, _refuse)


def ready(app: FastAPI) -> dict[str, Callable[[], CachedResponse]]:
    """Tell, by path, what is answered to a GET that asks for nothing in particular."""
    scope = {"type": "http", "app": app, "method": "GET", "query_string": b"", "headers": []}
    return {
        path: partial(_ready, endpoint, Request({**scope, "path": path}))
        for endpoint in ENDPOINTS
        if endpoint.health_query and "{" not in endpoint.paths[0]
        for path in _variants(endpoint)
    }


def _ready(endpoint: Endpoint, request: Request) -> CachedResponse:
    answer = _answer(endpoint, request)
    note = request.app.state.answers.request_recorder(endpoint.paths[0], answer.code)
    return CachedResponse.of(_response(request, answer), note)


def _variants(endpoint: Endpoint) -> list[str]:
    return [path + slash for path in endpoint.paths for slash in ("", "/")]


def _add(app: FastAPI, endpoint: Endpoint) -> None:
    async def answer(request: Request) -> Response:
        return _respond(request, _answer(endpoint, request), endpoint.paths[0])

    name = endpoint.paths[0].removeprefix("/").replace("/", "_").replace("_{name}", "")
    app.add_api_route(
        endpoint.paths[0],
        answer,
        methods=["GET"],
        operation_id=name,
        summary=endpoint.summary,
        response_class=JSONResponse if endpoint.health_query else PlainTextResponse,
        responses=endpoint.responses,
        dependencies=[Security(OPERATOR)],
        openapi_extra={"parameters": list(endpoint.parameters), "security": [ANYBODY]},
    )
    for path in _variants(endpoint):
        app.add_route(path, answer, methods=list(METHODS), include_in_schema=False)


def _answer(endpoint: Endpoint, request: Request) -> Answer:
    answers: Answers | UnavailableAnswers = request.app.state.answers
    accept = ", ".join(request.headers.getlist("accept"))
    authorization = request.headers.get("authorization", "")
    if endpoint.health_query is None:
        return answers.scrape(accept, authorization)
    response_format = _requested_format(request, accept)
    if response_format is None:
        return error(400, f"format must be {' or '.join(FORMATS_BY_NAME)}")
    return answers.to(endpoint.health_query(request), response_format, authorization)


def _requested_format(request: Request, accept: str) -> Format | None:
    query = request.query_params
    if "format" in query:
        # A plus that is not encoded stands for a blank.
        return FORMATS_BY_NAME.get(query["format"].replace(" ", "+"))
    if "verbose" in query:
        return TEXT
    return negotiate(accept)


def _respond(request: Request, answer: Answer, endpoint: str = "other") -> Response:
    # The last of several, as in a ready answer.
    client = dict(request.headers.raw).get(b"user-agent", b"")
    request.app.state.answers.note(endpoint, answer.code, client)
    return _response(request, answer)


def _response(request: Request, answer: Answer) -> Response:
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    if request.method not in {"GET", "HEAD"}:
        headers["allow"] = ", ".join(METHODS)
    body = b"" if request.method == "HEAD" else answer.body
    return Response(body, answer.code, headers)


async def _root(_: Request) -> Response:
    return PlainTextResponse(ROOT, headers=HEADERS)


async def _refuse(request: Request, refusal: Exception) -> Response:
    """Answer a path or a method that is not served like everything else, in JSON."""
    assert isinstance(refusal, HTTPException)  # noqa: S101 - registered for nothing else
    return _respond(request, error(refusal.status_code, refusal.detail))
