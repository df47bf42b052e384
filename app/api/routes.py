"""The paths: by which names and methods each answer is asked for."""

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from app.api.answers import HEADERS, Answer, Answers, error
from app.api.endpoints import ANYBODY, ENDPOINTS, FORMATS, OPERATOR, Endpoint
from app.api.readymade import Ready
from app.api.representations import TEXT, Representation, negotiated
from app.api.unserved import NEVER_RUN, Unserved


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
    app.state.answers = Unserved(NEVER_RUN)
    for endpoint in ENDPOINTS:
        _add(app, endpoint)
    app.add_route("/", _root, methods=list(METHODS), include_in_schema=False)
    app.add_exception_handler(HTTPException, _refuse)


def ready(app: FastAPI) -> dict[str, Callable[[], Ready]]:
    """Tell, by path, what is answered to a GET that asks for nothing in particular."""
    scope = {"type": "http", "app": app, "method": "GET", "query_string": b"", "headers": []}
    return {
        path: partial(_ready, endpoint, Request({**scope, "path": path}))
        for endpoint in ENDPOINTS
        if endpoint.question and "{" not in endpoint.paths[0]
        for path in _variants(endpoint)
    }


def _ready(endpoint: Endpoint, request: Request) -> Ready:
    answer = _answer(endpoint, request)
    note = request.app.state.answers.noter(endpoint.paths[0], answer.code)
    return Ready.of(_response(request, answer), note)


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
        response_class=JSONResponse if endpoint.question else PlainTextResponse,
        responses=endpoint.responses,
        dependencies=[Security(OPERATOR)],
        openapi_extra={"parameters": list(endpoint.parameters), "security": [ANYBODY]},
    )
    for path in _variants(endpoint):
        app.add_route(path, answer, methods=list(METHODS), include_in_schema=False)


def _answer(endpoint: Endpoint, request: Request) -> Answer:
    answers: Answers | Unserved = request.app.state.answers
    accept = ", ".join(request.headers.getlist("accept"))
    authorization = request.headers.get("authorization", "")
    if endpoint.question is None:
        return answers.scrape(accept, authorization)
    representation = _representation(request, accept)
    if representation is None:
        return error(400, f"format must be {' or '.join(FORMATS)}")
    return answers.to(endpoint.question(request), representation, authorization)


def _representation(request: Request, accept: str) -> Representation | None:
    query = request.query_params
    if "format" in query:
        # A plus that is not encoded stands for a blank.
        return FORMATS.get(query["format"].replace(" ", "+"))
    if "verbose" in query:
        return TEXT
    return negotiated(accept)


def _respond(request: Request, answer: Answer, endpoint: str = "other") -> Response:
    # The last of several, as in a ready answer.
    prober = dict(request.headers.raw).get(b"user-agent", b"")
    request.app.state.answers.note(endpoint, answer.code, prober)
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
