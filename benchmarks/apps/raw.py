"""Nothing but uvicorn: the answer of the service, sent by a function."""

import json
import os
from pathlib import Path
from typing import Any


def load() -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the answer that the service has given."""
    answer = json.loads(Path(os.environ["ANSWER"]).read_text())
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    start = {"type": "http.response.start", "status": answer["code"], "headers": headers}
    return start, {"type": "http.response.body", "body": answer["body"].encode()}


START, BODY = load()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer whatever is asked."""
    del receive
    if scope["type"] == "http":
        await send(START)
        await send(BODY)
