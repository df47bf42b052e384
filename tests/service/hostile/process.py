"""Hostile servers in a separate process, which reads commands from its standard input.

A command is a line of JSON: the port of a server (0 for a new one) and the name of an attack, which
is empty to go on with the last one. So is the answer: the port, and how many connections the server
has accepted since the attack started.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.service.hostile.attacks import ATTACKS
from tests.service.hostile.client import Client
from tests.support.service import ROOT


class HostileServer:
    """Runs one attack at a time on one port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._attack = ""
        self._writers = set[asyncio.StreamWriter]()
        self.accepted = 0

    async def listen(self) -> int:
        """Listen on a free port of 127.0.0.1, and return it."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", backlog=1000)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def start(self, attack: str) -> None:
        """Close all connections, and start another attack."""
        self._attack, self.accepted = attack, 0
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer, self.accepted, self._folder)
        self.accepted += 1
        self._writers.add(writer)
        with contextlib.suppress(OSError, EOFError):
            await ATTACKS[self._attack][1].script(client)
            while True:
                await client.read_some()
        self._writers.discard(writer)
        writer.close()


class Hostile:
    """A client of the process with the servers."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def play(self, attack: str, port: int = 0) -> int:
        """Start an attack, and return its port."""
        return self._command(port, attack)[0]

    def accepted(self, port: int) -> int:
        """Return how many connections the current attack on this port has accepted."""
        return self._command(port, "")[1]

    def _command(self, port: int, attack: str) -> tuple[int, int]:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([port, attack]), file=self._process.stdin, flush=True)
        port, accepted = json.loads(self._process.stdout.readline())
        return port, accepted


@contextlib.contextmanager
def hostile(folder: Path, *before: str) -> Iterator[Hostile]:
    """Run the process for the block.

    Args:
        folder: the folder of the certificates.
        before: the start of the command line, such as `taskset`.
    """
    command = [*before, sys.executable, "-m", __name__, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield Hostile(process)
        finally:
            process.kill()


async def _main(folder: Path) -> None:
    # Not in a thread, which would wait for seconds while the servers are busy.
    commands = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(commands)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    servers = dict[int, HostileServer]()
    while line := await commands.readline():
        port, attack = json.loads(line)
        if not port:
            server = HostileServer(folder)
            port = await server.listen()
            servers[port] = server
        if attack:
            servers[port].start(attack)
        print(json.dumps([port, servers[port].accepted]), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
