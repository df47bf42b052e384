"""The paths: by which names and methods each answer is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.api.answers import HEADERS, Answer, Answers, error
from app.api.bodies import CheckBody, ErrorBody, HealthBody, StatusBody


Parameter = dict[str, Any]

METHODS = ("GET", "HEAD", "OPTIONS")
FORMATS = ("json",)

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
    answer: Callable[[Answers, Request], Answer]
    bodies: dict[int | str, type[BaseModel]]
    parameters: tuple[Parameter, ...] = (FORMAT,)


def _ready(answers: Answers, request: Request) -> Answer:
    return answers.ready(request.query_params.getlist("exclude"))


ENDPOINTS = (
    Endpoint(
        "Whether this instance should be sent work, and why not",
        ("/health", "/healthz"),
        _ready,
        {200: HealthBody, 503: HealthBody},
        (EXCLUDE, FORMAT),
    ),
    Endpoint(
        "Whether this instance should be sent work",
        ("/health/ready", "/readyz"),
        _ready,
        {200: HealthBody, 503: HealthBody},
        (EXCLUDE, FORMAT),
    ),
    Endpoint(
        "Whether the process answers",
        ("/health/live", "/livez"),
        lambda answers, _: answers.live(),
        {200: StatusBody},
    ),
    Endpoint(
        "Whether every check has had a first result",
        ("/health/started", "/startupz"),
        lambda answers, _: answers.started(),
        {200: StatusBody, 503: StatusBody},
    ),
    Endpoint(
        "Whether one dependency passes",
        ("/health/checks/{name}",),
        lambda answers, request: answers.check(request.path_params["name"]),
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
        if request.query_params.get("format", FORMATS[0]) not in FORMATS:
            return _respond(request, error(400, f"format must be {' or '.join(FORMATS)}"))
        return _respond(request, endpoint.answer(request.app.state.answers, request))

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
