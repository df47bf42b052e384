"""A minimal Redis server; an attack can start at any command.

https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from tests.service.hostile.client import Client, scripted


OK = b"+OK\r\n"
NO_CLUSTER = b"-ERR This instance has cluster support disabled\r\n"

Command = list[bytes]


async def read_command(client: Client) -> Command:
    """Return the client's next command."""
    words = int((await client.read_until(b"\r\n"))[1:])
    command = []
    for _ in range(words):
        length = int((await client.read_until(b"\r\n"))[1:])
        command.append((await client.read(length + 2))[:-2])
    return [command[0].upper(), *command[1:]]


def bulk(text: bytes) -> bytes:
    """Return a bulk string."""
    return b"$%d\r\n%s\r\n" % (len(text), text)


def reply_to(command: Command) -> bytes:
    """Return the reply of Redis to a command of a probe."""
    name, *words = command
    if name == b"PING":
        return bulk(words[0]) if words else b"+PONG\r\n"
    if name == b"CLUSTER":
        return NO_CLUSTER
    return b"+QUEUED\r\n" if name == b"SET" else OK


@scripted
async def until(client: Client, name: bytes) -> None:
    """Answer honestly until a command arrives, and leave it unanswered.

    Args:
        name: the name of the command; empty for the first command of any name.
    """
    while (command := await read_command(client))[0] != name and name:
        await client.write(reply_to(command))


async def honest(client: Client) -> None:
    """Answer every command."""
    while True:
        await client.write(reply_to(await read_command(client)))


first_command, pinged, queued = until(b""), until(b"PING"), until(b"SET")


@scripted
async def always_reply(client: Client, reply: bytes) -> None:
    """Send the same reply to every command."""
    while True:
        await read_command(client)
        await client.write(reply)


@scripted
async def answer_ping(client: Client, surplus: bytes) -> None:
    """Answer honestly up to a PING, and send *surplus* after that."""
    while (command := await read_command(client))[0] != b"PING":
        await client.write(reply_to(command))
    await client.write(reply_to(command) + surplus)
