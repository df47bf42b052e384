"""A load generator that requests paths over many connections, and prints the answers on demand."""

import asyncio
import json
import math
import os
import sys
import time
from contextlib import suppress
from itertools import cycle, islice, product

import uvloop


# Connections per service, and seconds between two requests on each of them. Twice as many requests
# would need so much CPU that no second environment could run at the same time.
CONNECTIONS, INTERVAL = 32, 0.2

# Seconds after which a request counts as unanswered.
DEADLINE = 5

# Port, path, monotonic time of the request, seconds until the answer, and its status code; the
# code is 0 if there was no answer.
Sample = tuple[int, str, float, float, int]


async def send_requests(port: int, number: int, paths: list[str], samples: list[str]) -> None:
    """Request every path in turn on one connection, and reconnect when it ends.

    Args:
        number: index of the connection; it staggers the requests of all connections.
    """
    due = time.monotonic() + INTERVAL * number / CONNECTIONS
    connection = None
    for path in islice(cycle(paths), number % len(paths), None):
        connection = connection or await asyncio.open_connection("127.0.0.1", port)
        reader, writer = connection
        await asyncio.sleep(due - time.monotonic())
        started = time.monotonic()
        # Skip missed requests. If all connections caught up at once, they would stay in step.
        due += INTERVAL * math.ceil(max(started - due, INTERVAL / 2) / INTERVAL)
        code = await _request(path, reader, writer)
        sample: Sample = port, path, started, time.monotonic() - started, code
        # Encode each sample now: encoding a whole fault's samples at once would delay requests.
        samples.append(json.dumps(sample))
        if not code:
            writer.transport.abort()
            connection = None


async def _request(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Return the status of the answer; 0 if there is none."""
    try:
        async with asyncio.timeout(DEADLINE):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: probed\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
    except (OSError, EOFError):
        return 0
    return int(head.split(b" ", 2)[1])


async def main(paths: list[str], ports: list[int]) -> None:
    """Send requests. For each byte on stdin, print the samples since the last one as JSON."""
    samples: list[str] = []
    connections = product(ports, range(CONNECTIONS))
    sending = asyncio.gather(
        *(send_requests(*one, paths, samples) for one in connections), return_exceptions=True
    )
    loop = asyncio.get_running_loop()
    # Write without blocking: samples can exceed the pipe's buffer, and a blocked loop would send
    # all overdue requests at once afterwards.
    output, _ = await loop.connect_write_pipe(asyncio.Protocol, sys.stdout)

    def print_samples() -> None:
        if not os.read(0, 1):
            sending.cancel()
            return
        output.write(f"[{','.join(samples)}]\n".encode())
        samples.clear()

    loop.add_reader(0, print_samples)
    with suppress(asyncio.CancelledError):
        await sending


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1].split(","), [int(port) for port in sys.argv[2:]]))
