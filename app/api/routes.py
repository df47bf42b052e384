"""The paths: by which names and methods each answer is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from app.api import findings
from app.api.answers import HEADERS, Answer, Answers, error
from app.api.bodies import CheckBody, ErrorBody, HealthBody, StatusBody
from app.api.findings import Question
from app.api.representations import REPRESENTATIONS


Parameter = dict[str, Any]

METHODS = ("GET", "HEAD", "OPTIONS")
FORMATS = {one.name: one for one in REPRESENTATIONS}

ROOT = """\
Vitals answers, truthfully and at once, whether this deployment's dependencies can serve.

  /health                   the same as /health/ready
  /health/ready             200 while this instance serves and every required check passes
  /health/live              200 while the process answers, whatever its dependencies do
  /health/started           200 once every check has had a first result
  /health/checks/{name}     200 while that dependency passes
  /openapi.json             all of this, for programs

Kubernetes' names work too: /healthz /readyz /livez /startupz
Queries: exclude=NAME leaves a check out, format=json names the representation
"""


# The parameters, as OpenAPI documents them; they are read by hand, as nothing may be refused.
FORMAT: Parameter = {
    "name": "format",
    "in": "query",
    "description": "The representation.",
    "schema": {"type": "string", "enum": list(FORMATS)},
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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question and the paths on which it is asked; the first is the documented one."""

    summary: str
    paths: tuple[str, ...]
    question: Callable[[Request], Question]
    bodies: dict[int | str, Any]
    parameters: tuple[Parameter, ...] = (FORMAT,)


def _ready(request: Request) -> Question:
    return findings.ready(request.query_params.getlist("exclude"))


ENDPOINTS = (
    Endpoint(
        "Whether this instance should be sent work, and why not",
        ("/health", "/healthz"),
        _ready,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, FORMAT),
    ),
    Endpoint(
        "Whether this instance should be sent work",
        ("/health/ready", "/readyz"),
        _ready,
        {200: HealthBody | StatusBody, 503: HealthBody | StatusBody},
        (EXCLUDE, FORMAT),
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
        (NAME, FORMAT),
    ),
)


def install(app: FastAPI) -> None:
    """Give the application its paths; `app.state.answers` must be there while it serves."""
    for endpoint in ENDPOINTS:
        _add(app, endpoint)
    app.add_route("/", _root, methods=list(METHODS), include_in_schema=False)
    app.add_exception_handler(HTTPException, _refuse)


def _add(app: FastAPI, endpoint: Endpoint) -> None:
    async def answer(request: Request) -> Response:
        return _respond(request, _answer(endpoint, request))

    name = endpoint.paths[0].removeprefix("/").replace("/", "_").replace("_{name}", "")
    bodies = {**endpoint.bodies, 400: ErrorBody}
    app.add_api_route(
        endpoint.paths[0],
        answer,
        methods=["GET"],
        operation_id=name,
        summary=endpoint.summary,
        response_class=JSONResponse,
        responses={code: {"model": body} for code, body in bodies.items()},
        openapi_extra={"parameters": list(endpoint.parameters)},
    )
    for path in endpoint.paths:
        for variant in (path, f"{path}/"):
            app.add_route(variant, answer, methods=list(METHODS), include_in_schema=False)


def _answer(endpoint: Endpoint, request: Request) -> Answer:
    representation = FORMATS.get(request.query_params.get("format", "json"))
    if representation is None:
        return error(400, f"format must be {' or '.join(FORMATS)}")
    authorization = request.headers.get("authorization", "")
    answers: Answers = request.app.state.answers
    return answers.to(endpoint.question(request), representation, authorization)


def _respond(request: Request, answer: Answer) -> Response:
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
