"""A Redis in fifty lines, for attacks to begin at any command.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from tests.hostile.client import Client, Script


OK = b"+OK\r\n"

Command = list[bytes]


async def heard(client: Client) -> Command:
    """Return the client's next command."""
    words = int((await client.read_until(b"\r\n"))[1:])
    command = []
    for _ in range(words):
        length = int((await client.read_until(b"\r\n"))[1:])
        command.append((await client.read(length + 2))[:-2])
    return [command[0].upper(), *command[1:]]


def bulk(text: bytes) -> bytes:
    """Return a text of known length."""
    return b"$%d\r\n%s\r\n" % (len(text), text)


def answer(command: Command) -> bytes:
    """Return what a Redis answers, to what probes ask."""
    name, *words = command
    if name == b"PING":
        return bulk(words[0]) if words else b"+PONG\r\n"
    return b"+QUEUED\r\n" if name == b"SET" else OK


def until(name: bytes) -> Script:
    """Answer honestly until a command comes, and keep that one unanswered.

    Args:
        name: empty for the first command, whichever it is.

    """

    async def run(client: Client) -> None:
        while (command := await heard(client))[0] != name and name:
            await client.write(answer(command))

    return run


async def honest(client: Client) -> None:
    """Answer every command."""
    while True:
        await client.write(answer(await heard(client)))


first, pinged, queued = until(b""), until(b"PING"), until(b"SET")


def each(reply: bytes) -> Script:
    """Answer every command with the same."""

    async def run(client: Client) -> None:
        while True:
            await heard(client)
            await client.write(reply)

    return run
