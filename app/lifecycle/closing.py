"""How an instance that drains takes leave of its connections."""

from collections.abc import Iterable

from starlette.types import Message, Send

from app.lifecycle import Lifecycle


CLOSE = (b"connection", b"close")


def close_when_draining(send: Send, lifecycle: Lifecycle) -> Send:
    """Have a connection end with its answer while draining, whoever's route has answered.

    A balancer that keeps connections would otherwise send a request on one that the server is
    about to close. What was asked before the drain began is told as well, when it is answered.
    """

    async def tell(message: Message) -> None:
        if lifecycle.draining and message["type"] == "http.response.start":
            message = {**message, "headers": with_close(message.get("headers", ()))}
        await send(message)

    return tell


def with_close(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Say in headers, and once, that the connection ends."""
    return [*(header for header in headers if header[0].lower() != b"connection"), CLOSE]
