"""Hostile servers in a separate process, which reads commands from its standard input.

A command is a line of JSON: the port of a server (0 for a new one) and the name of an attack. So is
the answer: the port, and how many connections the server accepted since the last command.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.service.hostile.attacks import ATTACKS
from tests.service.hostile.client import Client, play


ROOT = Path(__file__).parents[3]


class HostileServer:
    """Runs one attack at a time on one port.

    Attributes:
        attack: the name of the current attack.
        accepted: how many connections were accepted since it started.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.attack = ""
        self.accepted = 0
        self._clients = set[Client]()

    def start(self, attack: str) -> int:
        """Close all connections and start another attack; return how many the last one accepted."""
        before, self.attack, self.accepted = self.accepted, attack, 0
        for client in self._clients:
            client.abort()
        return before

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run the attack on one connection."""
        client = Client(reader, writer, self.accepted, self._folder)
        self.accepted += 1
        self._clients.add(client)
        try:
            await play(ATTACKS[self.attack][1].script, client)
        finally:
            self._clients.discard(client)


class Hostile:
    """A client of the process with the servers."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def play(self, attack: str, port: int = 0) -> int:
        """Start an attack, and return its port."""
        return self._command(port, attack)[0]

    def accepted(self, port: int) -> int:
        """Return how many connections were accepted since the last command for this port."""
        return self._command(port, "")[1]

    def _command(self, port: int, attack: str) -> tuple[int, int]:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps([port, attack]), file=self.process.stdin, flush=True)
        port, accepted = json.loads(self.process.stdout.readline())
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


async def _main() -> None:
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    servers = dict[int, HostileServer]()
    async with contextlib.AsyncExitStack() as stack:
        while line := await commands.readline():
            port, attack = json.loads(line)
            if not port:
                server = HostileServer(Path(sys.argv[1]))
                listening = await asyncio.start_server(server.serve, "127.0.0.1", backlog=1000)
                await stack.enter_async_context(listening)
                port = listening.sockets[0].getsockname()[1]
                servers[port] = server
            accepted = servers[port].start(attack) if attack else servers[port].accepted
            print(json.dumps([port, accepted]), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    asyncio.run(_main())
