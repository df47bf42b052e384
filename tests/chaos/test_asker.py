import asyncio
import fcntl
import json
import subprocess
import sys
from contextlib import suppress

from tests.support.service import ROOT
from tests.unit.checks import attempt


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

# The smallest size of a pipe in bytes, and a number of samples that exceeds it.
PIPE, SAMPLES = 4096, 200


def start_load(port: int) -> subprocess.Popen[bytes]:
    """Start the load generator."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.asker", "/", str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


async def test_requests_continue_while_the_output_is_not_read() -> None:
    """Otherwise all overdue requests would be sent at once, and the burst would be slow."""
    requests = connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests, connections
        connections += 1
        with suppress(EOFError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                requests += 1
                writer.write(ANSWER)
        writer.transport.abort()
        connections -= 1

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with start_load(port) as generator:
            assert generator.stdin
            assert generator.stdout
            fcntl.fcntl(generator.stdout, fcntl.F_SETPIPE_SZ, PIPE)
            await attempt.eventually(lambda: requests > SAMPLES)
            generator.stdin.write(b"\n")
            generator.stdin.flush()
            before = requests
            await attempt.eventually(lambda: requests > before + SAMPLES)
            samples = json.loads(await asyncio.to_thread(generator.stdout.readline))
            assert {code for *_, code in samples} == {200}
            assert before - 32 <= len(samples) <= requests
            generator.stdin.close()
        await attempt.eventually(lambda: not connections)
