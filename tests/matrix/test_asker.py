import asyncio
import fcntl
import json
import subprocess
import sys
from contextlib import suppress

from tests.probes import attempt
from tests.service import ROOT


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

# Bytes that a pipe holds at least; what is told of two hundred answers is more.
LITTLE, MANY = 4096, 200


def asking(port: int) -> subprocess.Popen[bytes]:
    """Start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.matrix.asker", "/", str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def test_it_asks_on_while_nobody_takes_what_it_tells() -> None:
    """It would ask everything at once afterwards, and what is slow then is not the service."""
    asked = connected = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked, connected
        connected += 1
        with suppress(EOFError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                asked += 1
                writer.write(ANSWER)
        writer.transport.abort()
        connected -= 1

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with asking(port) as asker:
            assert asker.stdin
            assert asker.stdout
            fcntl.fcntl(asker.stdout, fcntl.F_SETPIPE_SZ, LITTLE)
            await attempt.eventually(lambda: asked > MANY)
            asker.stdin.write(b"\n")
            asker.stdin.flush()
            before = asked
            await attempt.eventually(lambda: asked > before + MANY)
            told = json.loads(await asyncio.to_thread(asker.stdout.readline))
            assert {code for *_, code in told} == {200}
            assert before - 32 <= len(told) <= asked
            asker.stdin.close()
        await attempt.eventually(lambda: not connected)
