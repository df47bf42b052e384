"""A load generator that requests paths over many connections, and prints the answers on demand."""

import asyncio
import json
import math
import os
import sys
import time
from itertools import cycle, islice

import uvloop


# Connections per service, and seconds between two requests on each of them. Twice as many requests
# would need so much CPU that no second environment could run at the same time.
CONNECTIONS, INTERVAL = 32, 0.2

# Seconds after which a request counts as unanswered.
DEADLINE = 5

# Port, path, monotonic time of the request, seconds until the answer, and its status code; the
# code is 0 if there was no answer.
Sample = tuple[int, str, float, float, int]


class LoadConnection:
    """One connection that requests every path in turn.

    Args:
        number: index of the connection; it staggers the requests of all connections.
    """

    def __init__(self, port: int, paths: list[str], number: int, samples: list[str]) -> None:
        self._port = port
        self._paths = islice(cycle(paths), number % len(paths), None)
        self._due = time.monotonic() + INTERVAL * number / CONNECTIONS
        self._samples = samples

    async def run(self) -> None:
        """Send requests until cancelled, and reconnect when the connection ends."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while await self._request(reader, writer):
                pass
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        await asyncio.sleep(self._due - time.monotonic())
        path = next(self._paths)
        started = time.monotonic()
        # Skip missed requests. If all connections caught up at once, they would stay in step.
        self._due += INTERVAL * math.ceil(max(started - self._due, INTERVAL / 2) / INTERVAL)
        try:
            async with asyncio.timeout(DEADLINE):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: probed\r\n\r\n".encode())
                code = await _read_status(reader)
        except (OSError, EOFError):
            code = 0
        sample: Sample = self._port, path, started, time.monotonic() - started, code
        # Encode each sample now: encoding a whole fault's samples at once would delay requests.
        self._samples.append(json.dumps(sample))
        return code


async def _read_status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split(b" ", 2)[1])


async def main(paths: list[str], ports: list[int]) -> None:
    """Send requests. For each byte on stdin, print the samples since the last one as JSON."""
    samples: list[str] = []
    stdin_closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Write without blocking: samples can exceed the pipe's buffer, and a blocked loop would send
    # all overdue requests at once afterwards.
    output, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)

    def print_samples() -> None:
        if not os.read(0, 1):
            stdin_closed.set()
            return
        output.write(f"[{','.join(samples)}]\n".encode())
        samples.clear()

    loop.add_reader(0, print_samples)
    tasks = [
        asyncio.create_task(LoadConnection(port, paths, number, samples).run())
        for port in ports
        for number in range(CONNECTIONS)
    ]
    await stdin_closed.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1].split(","), [int(port) for port in sys.argv[2:]]))
