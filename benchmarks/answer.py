"""Records the service's answer, which the raw ASGI contender sends too."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping

from benchmarks.contenders import SERVE
from benchmarks.process import Server


@contextlib.contextmanager
def recorded_answer(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Request the service's answer once, and yield an environment in which raw ASGI sends it."""
    with Server(SERVE, environ) as service:
        service.await_ready()
        code, headers, body = service.answer()
    headers = [(name, value) for name, value in headers if name != "date"]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"code": code, "headers": headers, "body": body}, file)
        file.flush()
        yield {**environ, "ANSWER": file.name}
