"""Records what real servers answer to the probes."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from app.devservers import Postgres, Valkey
from tests.faults.servers import command, sql
from tests.fuzz.conversation import Conversation, Question
from tests.fuzz.dependency import HOST, Lane
from tests.fuzz.prober import Prober
from tests.fuzz.tape import Tape
from tests.fuzz.tls import Secured
from tests.system.certificates import Certificates


PASSWORD = "fuzz"  # noqa: S105 - of a server that lives as long as its recording

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

HEADS = {
    "plain": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "unavailable": b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n",
    "early": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}


async def record(
    prober: Prober, name: str, question: Question, port: int, wire: str
) -> Conversation:
    """Have a question asked of a real server, once and twice."""
    tapes, outcomes = [Tape(port), Tape(port)], []
    for tape, asks in zip(tapes, (1, 2), strict=True):
        async with Lane() as lane:
            lane.play = tape
            outcomes = await prober.ask(question.order(0, lane.port, asks))
    once, twice = (tape.turns(wire) for tape in tapes)
    reasons = tuple(reason for reason, _, _ in outcomes)
    return Conversation(name, question, wire, twice, len(once), reasons, tapes[1].closes)


async def explain_postgres(prober: Prober) -> list[Conversation]:
    """Record PostgreSQL."""
    with Postgres() as server:
        (server.data / "pg_hba.conf").write_text(ACCESS)
        sql(server, *ROLES)
        questions = dict(_postgres_questions(server.password_file.read_text()))
        return [
            await record(prober, name, question, server.port, "postgres")
            for name, question in questions.items()
        ]


def _postgres_questions(secret: str) -> Iterator[tuple[str, Question]]:
    def question(
        user: str,
        password: str | None,
        require: str = "writable",
        path: str = "postgres?sslmode=disable",
    ) -> Question:
        return Question(
            "postgres", f"postgresql://{user}@{HOST}:{{port}}/{path}", password, require
        )

    yield "scram", question("vitals", secret)
    yield "scram, refused", question("vitals", "wrong")
    yield "md5", question("hashed", PASSWORD, "query")
    yield "cleartext", question("plain", PASSWORD, "query")
    yield "trust", question("trusted", None)
    yield "connect", question("trusted", None, "connect")
    yield "read-only", question("reader", None)
    yield "no database", question("trusted", None, path="nothing?sslmode=disable")
    yield "no TLS", question("trusted", None, path="postgres?sslmode=prefer")


async def explain_redis(prober: Prober) -> list[Conversation]:
    """Record Redis."""
    with Valkey() as server:
        command(server, "ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+@all", "-set")
        secret = server.password_file.read_text()
        questions = {
            "query": Question("redis", f"redis://{HOST}:{{port}}/0", secret),
            "writable": Question("redis", f"redis://{HOST}:{{port}}/2", secret, "writable"),
            "wrong password": Question("redis", f"redis://{HOST}:{{port}}/0", "wrong"),
            "no database": Question("redis", f"redis://{HOST}:{{port}}/99", secret),
            "denied": Question("redis", f"redis://reader@{HOST}:{{port}}/0", PASSWORD, "writable"),
        }
        recorded = [
            await record(prober, name, question, server.port, "redis")
            for name, question in questions.items()
        ]
        command(server, "CONFIG", "SET", "requirepass", "")
        open_ = Question("redis", f"redis://{HOST}:{{port}}/0")
        return [*recorded, await record(prober, "no password", open_, server.port, "redis")]


async def of_http(prober: Prober) -> list[Conversation]:
    """Record servers that answer with fixed heads."""
    recorded = []
    question = Question("http", f"http://{HOST}:{{port}}/")
    async with Lane() as server:
        for name, head in HEADS.items():

            async def answer(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes = head
            ) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(head)
                await reader.read()

            server.play = answer
            recorded.append(await record(prober, name, question, server.port, "http"))
    return recorded


async def over_tls(
    prober: Prober, plain: Conversation, context: ssl.SSLContext
) -> list[Conversation]:
    """Return a conversation within TLS, and the records of it.

    Those that follow the handshake may be read in more pieces or fewer.
    """
    url = plain.question.url.replace("sslmode=disable", "sslmode=require")
    url = url.replace("redis:", "rediss:").replace("http:", "https:")
    question = replace(plain.question, url=url)
    within = replace(plain, name=f"{plain.name}, TLS", question=question, context=context)
    async with Lane() as server:
        server.play = Secured(within, None)
        records = await record(prober, f"{plain.name}, records", question, server.port, "tls")
    handshake = 2 if plain.question.kind == "postgres" else 1
    return [within, replace(records, context=context, within=within, first=handshake)]


RECORDERS = {"postgres": explain_postgres, "redis": explain_redis, "http": of_http}


async def recorded(kind: str, app: Path, certificates: Certificates) -> list[Conversation]:
    """Record the conversations of one kind with the probes of a checkout."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.write("good", certificates.root.parent))
    async with Prober(app, "asyncio", certificates.root) as prober:
        conversations = await RECORDERS[kind](prober)
        return [*conversations, *await over_tls(prober, conversations[0], context)]
