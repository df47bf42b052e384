"""The routes: paths, methods and query parameters, and how OpenAPI documents them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.api.answers import (
    HEADERS,
    NEVER_RUN,
    Answer,
    Answers,
    UnavailableAnswers,
    error_answer,
)
from app.api.formats import FORMATS, JSON, TEXT, Format, negotiate
from app.api.json_bodies import CheckBody, ErrorBody, HealthBody, StatusBody
from app.api.metrics import MEDIA_TYPES
from app.api.response_cache import CachedResponse
from app.api.verdict import (
    HealthQuery,
    Snapshot,
    liveness,
    readiness_query,
    single_check_query,
    startup,
)
from app.health import Instant


Parameter = dict[str, Any]

FORMATS_BY_NAME = {one.name: one for one in FORMATS}

# For OpenAPI only. The handlers read parameters without validation: a probe must not get a 422 for
# one that means nothing to Vitals.
FORMAT: Parameter = {
    "name": "format",
    "in": "query",
    "description": "The format of the body. It takes precedence over `Accept`.",
    "schema": {"type": "string", "enum": list(FORMATS_BY_NAME)},
}
VERBOSE: Parameter = {
    "name": "verbose",
    "in": "query",
    "description": "One line for each check, as in Kubernetes, even if there are more than 30. "
    "`format` takes precedence.",
    "allowEmptyValue": True,
    "schema": {"type": "string"},
}
EXCLUDE: Parameter = {
    "name": "exclude",
    "in": "query",
    "description": "A check to leave out; repeatable. `warnings` lists unknown names.",
    "schema": {"type": "array", "items": {"type": "string"}},
}
ONLY: Parameter = {
    "name": "only",
    "in": "query",
    "description": "A check that counts, without the others; repeatable. `exclude` takes "
    "precedence. `warnings` lists unknown names. If all names are unknown, all checks count.",
    "schema": {"type": "array", "items": {"type": "string"}},
}
NAME: Parameter = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The name of a check.",
    "schema": {"type": "string"},
}

# For OpenAPI only: the handlers read the token themselves and never refuse a request.
OPERATOR = HTTPBearer(
    bearerFormat="JWT",
    scheme_name="operator",
    description="A token from `vitals token`. Without a valid token the status code is the same, "
    "and the body shows what `HEALTH_DETAILS` shows to every client.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A health query and its paths, the documented path first.

    Attributes:
        health_query: makes the query from a request; None for `/metrics`.
        bodies: the models of the JSON body, by status code.
    """

    summary: str
    paths: tuple[str, ...]
    health_query: Callable[[Request], HealthQuery] | None
    bodies: dict[int | str, Any]
    parameters: tuple[Parameter, ...] = (FORMAT, VERBOSE)

    @property
    def responses(self) -> dict[int | str, dict[str, Any]]:
        """The documented responses."""
        if self.health_query is None:
            return {200: {"content": {one: {"schema": {"type": "string"}} for one in MEDIA_TYPES}}}
        bodies = {**self.bodies, 400: ErrorBody}
        return {code: _document_response(code, body) for code, body in bodies.items()}

    @property
    def path_variants(self) -> list[str]:
        """All paths, without and with a trailing slash."""
        return [path + slash for path in self.paths for slash in ("", "/")]


def _readiness_query(request: Request) -> HealthQuery:
    query = request.query_params
    exclude, only = query.getlist("exclude"), query.getlist("only")
    return readiness_query(exclude, only, is_verbose="verbose" in query)


ENDPOINTS = (
    Endpoint(
        "Whether this instance should receive traffic, with the state of each check",
        ("/health", "/healthz"),
        _readiness_query,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, ONLY, FORMAT, VERBOSE),
    ),
    Endpoint(
        "Whether this instance should receive traffic",
        ("/health/ready", "/readyz"),
        _readiness_query,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, ONLY, FORMAT, VERBOSE),
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
        "Whether one check passes",
        ("/health/checks/{name}",),
        lambda request: single_check_query(request.path_params["name"]),
        {200: CheckBody, 503: CheckBody, 404: ErrorBody},
        (NAME, FORMAT, VERBOSE),
    ),
    Endpoint("Metrics for Prometheus", ("/metrics",), None, {}, ()),
)

PATHS = frozenset(path for endpoint in ENDPOINTS for path in endpoint.paths)


def _document_response(code: int | str, body: Any) -> dict[str, Any]:
    """Document a JSON body, and the other formats of a health answer."""
    schemas = {one.media_type: "string" if one is TEXT else "object" for one in FORMATS[1:]}
    content = {media_type: {"schema": {"type": one}} for media_type, one in schemas.items()}
    return {"model": body, "content": content if code in {200, 503} else {}}


def is_probe(path: str) -> bool:
    """Return whether requests for a path come from probes: it belongs to an endpoint."""
    return path.startswith("/health/") or path.rstrip("/") in PATHS


def is_liveness(path: str) -> bool:
    """Return whether a path is that of liveness."""
    return path.rstrip("/") in {"/health/live", "/livez"}


def route_path(scope: Scope) -> str:
    """Return the path without the prefix that another application or a server mounts this at."""
    path: str = scope.get("path", "")
    root = scope.get("root_path", "")
    # Some servers leave the root out of the path: https://asgi.readthedocs.io/en/latest/specs/www.html
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


METHODS = ("GET", "HEAD", "OPTIONS")

ROOT = """\
Vitals answers whether this deployment's dependencies can serve.

  /health                   the same as /health/ready
  /health/ready             200 while this instance serves and every required check passes
  /health/live              200 while the process answers, whatever its dependencies do
  /health/started           200 once every check has had a first result
  /health/checks/{name}     200 while that check passes
  /metrics                  metrics for Prometheus, always 200
  /openapi.json             the API description

The names from Kubernetes work too: /healthz /readyz /livez /startupz
Query parameters: exclude=NAME leaves a check out, only=NAME leaves the others out,
format=json|health+json|text|html selects the format, verbose means format=text and lists all checks
"""


def add_routes(app: FastAPI) -> None:
    """Add the routes to an application. They get their answers from `app.state.answers`."""
    app.state.answers = UnavailableAnswers(NEVER_RUN)
    for endpoint in ENDPOINTS:
        _add_endpoint(app, endpoint)
    app.add_route("/", _root, methods=list(METHODS), include_in_schema=False)
    app.add_exception_handler(HTTPException, _refuse)


def _add_endpoint(app: FastAPI, endpoint: Endpoint) -> None:
    async def handle(request: Request) -> Response:
        snapshot = _answers(request).snapshot()
        answer = _answer_request(endpoint, request, snapshot)
        return _respond(request, answer, endpoint.paths[0], snapshot.now)

    name = endpoint.paths[0].removeprefix("/").replace("/", "_").replace("_{name}", "")
    app.add_api_route(
        endpoint.paths[0],
        handle,
        methods=["GET"],
        operation_id=name,
        summary=endpoint.summary,
        response_class=JSONResponse if endpoint.health_query else PlainTextResponse,
        responses=endpoint.responses,
        dependencies=[Security(OPERATOR)],
        openapi_extra={"parameters": list(endpoint.parameters), "security": [{}]},
    )
    for path in endpoint.path_variants:
        app.add_route(path, handle, methods=list(METHODS), include_in_schema=False)


def _answers(request: Request) -> Answers | UnavailableAnswers:
    answers: Answers | UnavailableAnswers = request.app.state.answers
    return answers


def _answer_request(endpoint: Endpoint, request: Request, snapshot: Snapshot) -> Answer:
    answers = _answers(request)
    accept = ", ".join(request.headers.getlist("accept"))
    authorization = request.headers.get("authorization", "")
    if endpoint.health_query is None:
        return answers.respond_to_scrape(accept, authorization, snapshot)
    response_format = _requested_format(request, accept)
    if response_format is None:
        return error_answer(400, f"format must be {' or '.join(FORMATS_BY_NAME)}")
    query = endpoint.health_query(request)
    root = "../" * (route_path(request.scope).count("/") - 1) or "./"
    return answers.respond(query, response_format, authorization, snapshot, root)


def _requested_format(request: Request, accept: str) -> Format | None:
    query = request.query_params
    if "format" in query:
        # Query strings decode `+` to a space, and clients send `health+json` unencoded.
        return FORMATS_BY_NAME.get(query["format"].replace(" ", "+"))
    if "verbose" in query:
        return TEXT
    # Browsers send both when they open a URL, and only then.
    headers = request.headers
    is_navigation = (
        headers.get("sec-fetch-mode") == "navigate"
        or headers.get("upgrade-insecure-requests") == "1"
    )
    return negotiate(accept, is_navigation=is_navigation)


def _respond(request: Request, answer: Answer, endpoint: str, now: Instant) -> Response:
    """Count an answer, and return it as a response."""
    # The last of several, as in a cached response.
    client = dict(request.headers.raw).get(b"user-agent", b"")
    _answers(request).request_recorder(endpoint, answer.code)(client, now.steady)
    return _response(request, answer)


def _response(request: Request, answer: Answer) -> Response:
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    if request.method not in {"GET", "HEAD"}:
        headers["allow"] = ", ".join(METHODS)
    body = b"" if request.method == "HEAD" else answer.body
    return Response(body, answer.code, headers)


def cacheable_renderers(app: FastAPI) -> dict[str, Callable[[Snapshot], CachedResponse]]:
    """Return, by path, what renders the response to a GET without query and headers."""
    scope = {"type": "http", "app": app, "method": "GET", "query_string": b"", "headers": []}
    request = Request(scope)
    return {
        path: partial(_render_cacheable, request, endpoint.health_query(request), endpoint.paths[0])
        for endpoint in ENDPOINTS
        if endpoint.health_query and "{" not in endpoint.paths[0]
        for path in endpoint.path_variants
    }


def _render_cacheable(
    request: Request, query: HealthQuery, endpoint: str, snapshot: Snapshot
) -> CachedResponse:
    answers = _answers(request)
    answer = answers.respond(query, JSON, "", snapshot)
    record = answers.request_recorder(endpoint, answer.code)
    return CachedResponse.from_response(_response(request, answer), record)


async def _root(_: Request) -> Response:
    return PlainTextResponse(ROOT, headers=HEADERS)


async def _refuse(request: Request, refusal: Exception) -> Response:
    """Answer an unknown path or method with the headers of every other answer, in JSON."""
    assert isinstance(refusal, HTTPException)  # noqa: S101 - registered for this class only
    answer = error_answer(refusal.status_code, refusal.detail)
    now = _answers(request).snapshot().now
    return _respond(request, answer, "other", now)
