"""The service's answer, sent by a bare ASGI function under uvicorn."""

import json
import os
from pathlib import Path
from typing import Any


def load() -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the recorded answer of the service."""
    answer = json.loads(Path(os.environ["ANSWER"]).read_text())
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    start = {"type": "http.response.start", "status": answer["code"], "headers": headers}
    return start, {"type": "http.response.body", "body": answer["body"].encode()}


START, BODY = load()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send the answer to every request."""
    del receive
    if scope["type"] == "http":
        await send(START)
        await send(BODY)
