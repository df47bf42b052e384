"""Records conversations between the probes and real servers."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.fuzz.conversation import Conversation, Target, Turn, split
from tests.fuzz.dependency import HOST, Player, forward, serving
from tests.fuzz.prober import ProbeProcess
from tests.support.devservers import Postgres, Valkey
from tests.support.faults.servers import command, sql
from tests.system.certificates import Certificates
from tests.unit.checks import http_server


PASSWORD = "fuzz"  # noqa: S105 - for a server that lives as long as its recording

ACCESS = """
host all vitals all scram-sha-256
host all hashed all md5
host all plain all password
host all all all trust
"""
ROLES = (
    f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'",
    "SET password_encryption = md5",
    f"CREATE ROLE hashed LOGIN PASSWORD '{PASSWORD}'",
    "CREATE ROLE trusted LOGIN",
    "CREATE ROLE reader LOGIN",
    "ALTER ROLE reader SET default_transaction_read_only = on",
    "SELECT pg_reload_conf()",
)

ANSWERS = {
    "plain": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "unavailable": b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n",
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}

# The rest of a URL without TLS.
PLAIN = "postgres?sslmode=disable"


class RecordingProxy:
    """A proxy to a real server that records its first connection.

    Attributes:
        closes: whether the server ended a connection, after an answer.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._connections: list[list[tuple[bool, bytes]]] = []
        self.closes = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Proxy one connection."""
        server, client = await asyncio.open_connection(HOST, self._port)
        parts: list[tuple[bool, bytes]] = []
        self._connections.append(parts)
        asking = asyncio.create_task(
            forward(reader, client, lambda one: parts.append((False, one)))
        )
        try:
            await forward(server, writer, lambda one: parts.append((True, one)))
            self.closes = self.closes or (not asking.done() and parts[-1][0])
            await asking
        finally:  # also if the attempt ends first, which cancels this task
            asking.cancel()
            client.transport.abort()

    def turns(self, protocol: str) -> tuple[Turn, ...]:
        """Return the turns, without a last request that has no answer."""
        turns: list[list[bytes]] = []
        before = True
        for is_answer, data in self._connections[0]:
            if before and not is_answer:
                turns.append([b"", b""])
            turns[-1][is_answer] += data
            before = is_answer
        return tuple(Turn(request, split(protocol, sent)) for request, sent in turns if sent)


async def record(
    child: ProbeProcess, name: str, target: Target, port: int, protocol: str = ""
) -> Conversation:
    """Record one attempt, and two attempts, at a real server."""
    tapes, outcomes = [RecordingProxy(port), RecordingProxy(port)], []
    for tape, attempts in zip(tapes, (1, 2), strict=True):
        async with serving(tape) as listening:
            outcomes = (await child.run(target.order(listening, attempts)))["outcomes"]
    protocol = protocol or target.kind
    once, twice = (tape.turns(protocol) for tape in tapes)
    reasons = tuple(reason for reason, _, _ in outcomes)
    return Conversation(name, target, protocol, twice, len(once), reasons, tapes[1].closes)


async def record_postgres(child: ProbeProcess) -> list[Conversation]:
    """Record conversations with PostgreSQL."""
    with Postgres() as server:
        (server.data / "pg_hba.conf").write_text(ACCESS)
        sql(server, *ROLES)
        targets = dict(_postgres_targets(server.password_file.read_text()))
        return [await record(child, name, one, server.port) for name, one in targets.items()]


def _postgres_targets(secret: str) -> Iterator[tuple[str, Target]]:
    def target(
        user: str,
        password: str | None,
        require: str = "writable",
        path: str = PLAIN,
        condition: str = "",
    ) -> Target:
        url = f"postgresql://{user}@{HOST}:{{port}}/{path}"
        return Target("postgres", url, password, require, condition)

    trusted = partial(target, "trusted", None)
    yield "scram", target("vitals", secret)
    yield "scram, refused", target("vitals", "wrong")
    yield "md5", target("hashed", PASSWORD, "query")
    yield "cleartext", target("plain", PASSWORD, "query")
    yield "trust", trusted()
    yield "connect", trusted("connect")
    yield "read-only", target("reader", None)
    yield "no database", trusted(path="nothing?sslmode=disable")
    yield "primary", trusted(path=f"{PLAIN}&target_session_attrs=primary")
    yield "replica", trusted("replica")
    yield "condition", trusted("query", condition="SELECT true")
    yield "false condition", trusted("query", condition="SELECT false")
    yield "wrong condition", trusted("query", condition="SELECT nothing")
    yield "no TLS", trusted(path="postgres?sslmode=prefer")


async def record_redis(child: ProbeProcess) -> list[Conversation]:
    """Record conversations with Redis."""
    with Valkey() as server:
        command(server, "ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+@all", "-set")
        secret = server.password_file.read_text()
        url = f"redis://{HOST}:{{port}}/0"
        targets = {
            "query": Target("redis", url, secret),
            "writable": Target("redis", url.replace("/0", "/2"), secret, "writable"),
            "wrong password": Target("redis", url, "wrong"),
            "no database": Target("redis", url.replace("/0", "/99"), secret),
            "denied": Target("redis", url.replace("//", "//reader@"), PASSWORD, "writable"),
        }
        recorded = [await record(child, name, one, server.port) for name, one in targets.items()]
        command(server, "CONFIG", "SET", "requirepass", "")
        return [*recorded, await record(child, "no password", Target("redis", url), server.port)]


async def record_http(child: ProbeProcess) -> list[Conversation]:
    """Record conversations with HTTP servers."""
    recorded = []
    for name, answer in ANSWERS.items():
        async with http_server.serving(answer) as server:
            target = Target("http", f"http://{HOST}:{{port}}/")
            recorded.append(await record(child, name, target, server.port))
    return recorded


async def over_tls(
    child: ProbeProcess, plain: Conversation, context: ssl.SSLContext
) -> list[Conversation]:
    """Return a conversation over TLS, and its TLS records.

    The records after the handshake may arrive in more pieces or fewer.
    """
    url = plain.target.url.replace("sslmode=disable", "sslmode=require")
    url = url.replace("redis:", "rediss:").replace("http:", "https:")
    target = replace(plain.target, url=url)
    inner = replace(plain, name=f"{plain.name}, TLS", target=target, context=context)
    async with Player(inner).serve() as port:
        records = await record(child, f"{plain.name}, records", target, port, "tls")
    handshake = 2 if plain.target.kind == "postgres" else 1
    return [inner, replace(records, context=context, inner=inner, first=handshake)]


RECORDERS = {"postgres": record_postgres, "redis": record_redis, "http": record_http}


async def recorded(kind: str, app: Path, certificates: Certificates) -> list[Conversation]:
    """Record the conversations of one kind with the probes of a checkout."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.write("good", certificates.root.parent))
    async with ProbeProcess(app, "asyncio", certificates.root) as child:
        conversations = await RECORDERS[kind](child)
        return [*conversations, *await over_tls(child, conversations[0], context)]
