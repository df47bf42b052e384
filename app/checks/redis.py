"""The check of a Redis: PING, or a discarded write, over a session of its own."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Annotated

from pydantic import AfterValidator

from app.checks.kind import CheckSpec, Depth, Kind, Resources, StoreOptions
from app.checks.redis_url import TLS_FILES, RedisTarget
from app.checks.session import SessionProbe
from app.checks.urls import PASSWORD, ensure, ensure_tls_files
from app.health import Facts, Reason


# The name of the session in CLIENT LIST.
CLIENT_NAME = "vitals"


def parse_redis_url(text: str) -> str:
    """Return a valid URL, or raise a ValueError with the remedy."""
    target = RedisTarget.parse(text)
    ensure(not target.password, PASSWORD)
    ensure_tls_files(target.tls.files if target.tls else {}, TLS_FILES)
    return text


class RedisOptions(StoreOptions):
    """The options of a Redis check."""

    url: Annotated[str, AfterValidator(parse_redis_url)] = ""
    depth: Depth = "query"


@asynccontextmanager
async def open_redis(
    spec: CheckSpec[RedisOptions], resources: Resources
) -> AsyncIterator[SessionProbe]:
    """Provide a probe of a Redis. It connects at its first attempt."""
    from redis.exceptions import ResponseError  # noqa: PLC0415 - see `Kind`

    from app.checks.redis_server import (  # noqa: PLC0415 - as above
        RedisServer,
        RedisSession,
        explain_redis,
    )

    options = spec.options
    server = RedisServer.of_target(RedisTarget.parse(options.url), resources.trust)
    read = options.password_reader(spec.name, resources.read_secret)

    async def open_session() -> RedisSession:
        server.dialer.timeout_reason = Reason.TIMEOUT
        connection = await server.connect(await read() if read else None)
        try:
            # Without a password, this command is the first that Redis answers.
            await connection.execute([("CLIENT", "SETNAME", CLIENT_NAME)], [b"OK"])
        except BaseException as error:
            # The name is optional: some providers remove the command, and an ACL may deny it.
            is_refusal = isinstance(error, ResponseError)
            if not is_refusal or probe.explain(error) not in {Reason.ERROR, Reason.DENIED}:
                connection.terminate()
                raise
        return RedisSession(connection, options.depth)

    explain = partial(explain_redis, dialer=server.dialer)
    renew_after = 0 if options.depth == "connect" else resources.reconnect_interval
    probe = SessionProbe(open_session, explain, renew_after)
    probe.facts = lambda: Facts(server.dialer.certificate)
    async with aclosing(probe):
        yield probe


KIND = Kind("redis", ("redis", "rediss", "unix"), RedisOptions, open_redis)
