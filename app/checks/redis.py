"""The check of a Redis: PING, or a discarded write, over a session of its own."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator

from app.checks.kind import CheckSpec, Kind, Resources, StoreOptions
from app.checks.session import SessionProbe
from app.checks.urls import PASSWORD, WHITESPACE, ensure, ensure_tls_files, is_plain, is_port
from app.health import Reason


FORM = "must have the form redis://host:port/0, rediss://host:port/0 or unix:///path. Correct it."
QUERY = {"db", "ssl_ca_certs"}

# The name of the session in CLIENT LIST.
CLIENT_NAME = "vitals"


def parse_redis_url(text: str) -> str:
    """Return a valid URL, or raise a ValueError with the remedy."""
    from redis.asyncio.connection import parse_url  # noqa: PLC0415 - see `Kind`

    try:
        url = urlsplit(text)
        parts: dict[str, Any] = dict(parse_url(url._replace(query="").geturl()))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
    except ValueError:
        raise ValueError(FORM) from None
    ensure(is_plain(text), WHITESPACE)
    ensure("password" not in parts, PASSWORD)
    ensure(parts.get("path") if url.scheme == "unix" else parts.get("host"), FORM)
    ensure(url.scheme != "unix" or not url.hostname, FORM)
    ensure(is_port(parts.get("port")), FORM)
    ensure(
        query.keys() <= QUERY, "the query may contain only db and ssl_ca_certs. Remove the rest."
    )
    database = query.get("db") or ("" if "path" in parts else url.path.strip("/"))
    ensure(not database or database.isdecimal(), "the database must be a number. Correct it.")
    verifies = url.scheme == "rediss" or "ssl_ca_certs" not in query
    ensure(verifies, "ssl_ca_certs needs TLS. Use rediss://.")
    ensure_tls_files(query, ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"))
    return text


class RedisOptions(StoreOptions):
    """The options of a Redis check."""

    url: Annotated[str, AfterValidator(parse_redis_url)] = ""


@asynccontextmanager
async def open_redis(
    spec: CheckSpec[StoreOptions], resources: Resources
) -> AsyncIterator[SessionProbe]:
    """Provide a probe of a Redis. It connects at its first attempt."""
    from redis.exceptions import ResponseError  # noqa: PLC0415 - see `Kind`

    from app.checks.redis_server import (  # noqa: PLC0415 - as above
        RedisServer,
        RedisSession,
        explain_redis,
    )

    options = spec.options
    server = RedisServer.from_url(options.url)
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
    async with aclosing(probe):
        yield probe


KIND = Kind("redis", ("redis", "rediss", "unix"), RedisOptions, open_redis)
