"""The answer of the service, for the raw contender to give it too."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping

from benchmarks.contenders import SERVE
from benchmarks.process import Running


@contextlib.contextmanager
def fixed(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Ask the service once, and tell the environment in which raw ASGI answers the same."""
    with Running(SERVE, environ) as service:
        service.await_ready()
        code, headers, body = service.answer()
    headers = [(name, value) for name, value in headers if name != "date"]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"code": code, "headers": headers, "body": body}, file)
        file.flush()
        yield {**environ, "ANSWER": file.name}
