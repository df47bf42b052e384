"""A program that asks services over many connections, and tells what came back when told to."""

import asyncio
import json
import math
import os
import sys
import time
from itertools import cycle, islice

import uvloop


# How many connections ask a service, and the seconds from one question of each to its next.
CONNECTIONS, PACE = 32, 0.1

# Seconds after which an answer is taken for one that never comes.
DEADLINE = 5

# Whose answer it is, which path's, when it was asked for by the steady clock, after how many
# seconds it was there, and its code; 0 where none came.
Answered = tuple[int, str, float, float, int]


class Asker:
    """One connection, on which every path is asked in turn.

    Args:
        number: which of the connections it is; they take turns.

    """

    def __init__(self, port: int, paths: list[str], number: int, answers: list[str]) -> None:
        self._port = port
        self._turns = islice(cycle(paths), number % len(paths), None)
        self._due = time.monotonic() + PACE * number / CONNECTIONS
        self._answers = answers

    async def run(self) -> None:
        """Ask until cancelled, on a new connection where the old one has ended."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while await self._ask(reader, writer):
                pass
            writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        await asyncio.sleep(self._due - time.monotonic())
        path = next(self._turns)
        begun = time.monotonic()
        # Turns that were missed are left out: made up for, all connections would ask at once, and
        # go on doing so.
        self._due += PACE * math.ceil(max(begun - self._due, PACE / 2) / PACE)
        try:
            async with asyncio.timeout(DEADLINE):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: probed\r\n\r\n".encode())
                code = await _code(reader)
        except (OSError, EOFError):
            code = 0
        answered: Answered = self._port, path, begun, time.monotonic() - begun, code
        # Made into text one by one: all of a fault's at once would hold up the next questions.
        self._answers.append(json.dumps(answered))
        return code


async def _code(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split(b" ", 2)[1])


async def main(paths: list[str], ports: list[int]) -> None:
    """Ask; at each byte that is read tell what came back since the last, as a line of JSON."""
    answers: list[str] = []
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Waits for nobody: the pipe holds less than is told, and all questions that came due while it
    # was full would be asked at once, of services that others look at too.
    output, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)

    def tell() -> None:
        if not os.read(0, 1):
            over.set()
            return
        output.write(f"[{','.join(answers)}]\n".encode())
        answers.clear()

    loop.add_reader(0, tell)
    tasks = [
        asyncio.create_task(Asker(port, paths, number, answers).run())
        for port in ports
        for number in range(CONNECTIONS)
    ]
    await over.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1].split(","), [int(port) for port in sys.argv[2:]]))
