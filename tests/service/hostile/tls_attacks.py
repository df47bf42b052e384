"""Attacks of servers over TLS, and of servers that do not speak TLS although they should."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from app.health import Reason
from tests.service.hostile import http_attacks, postgres_server, redis_server
from tests.service.hostile.client import (
    Attack,
    Client,
    Script,
    attack,
    byte_by_byte,
    endless,
    hang_up,
    limited,
    script,
    trickle,
)
from tests.service.hostile.tls_certificates import GOOD, GROUP, LARGE, LONG, RSA
from tests.service.hostile.tls_server import (
    ALERT,
    DATA,
    HANDSHAKE,
    RecordWriter,
    over_tls,
    repeat_record,
)


NEW, OLD = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2


async def accept_tls(client: Client) -> None:
    """Accept PostgreSQL's request for TLS."""
    await client.read(8)
    await client.write(b"S")


async def read_hello(client: Client) -> None:
    """Read the start of the client's handshake."""
    await client.read_some()


def dhe_8192(context: ssl.SSLContext, folder: Path) -> None:
    """Configure DHE with 8192 bits as the only key exchange."""
    context.maximum_version = OLD
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384")
    context.load_dh_params(str(folder / GROUP))


def group_8192(context: ssl.SSLContext, _: Path) -> None:
    """Configure a group of 8192 bits as the only one, in TLS 1.3."""
    context.minimum_version = NEW
    context.set_ecdh_curve("ffdhe8192")


def many_tickets(context: ssl.SSLContext, _: Path) -> None:
    """Configure ten thousand session tickets."""
    context.num_tickets = 10_000


# Sent in answer to the client's greeting: the expected reason, and the steps.
GREETINGS: Mapping[str, tuple[Reason, *tuple[bytes | Script, ...]]] = {
    "a record of junk": (Reason.TLS, b"\x16\x03\x03\x00\x20" + b"\xff" * 32),
    "a record that trickles": (Reason.TIMEOUT, b"\x16\x03\x03\x40\x00", trickle(b"\2")),
    "a hello of 16 MB": (
        Reason.TLS,
        endless(b"\x16\x03\x03\x40\x00" + b"\2\xff\xff\xff" + b"x" * 16_380),
    ),
    "records of nothing": (Reason.TLS, endless(b"\x16\x03\x03\0\0")),
    "warnings without an end": (Reason.TLS, endless(b"\x15\x03\x03\0\2\1\0")),
    "an alert": (Reason.TLS, b"\x15\x03\x03\0\2\2\x28", hang_up),
    "HTTP": (Reason.TLS, b"HTTP/1.1 400 Bad Request\r\n\r\n", hang_up),
    "an error of Redis": (Reason.TLS, b"-ERR Protocol error\r\n", hang_up),
    "an error of PostgreSQL": (Reason.TLS, b"EFATAL: unsupported\0", hang_up),
    "plain text without an end": (Reason.TLS, endless(b"220 hello\r\n")),
    "an end": (Reason.DISCONNECTED, hang_up),
    "nothing": (Reason.TIMEOUT,),
}

TICKET = b"\4\0\0\x15" + bytes(8) + b"\0" + b"\0\x08" + b"tickets!" + b"\0\0"

# Sent repeatedly after the handshake: the expected reason, the version, and what makes a record.
RECORDS: Mapping[str, tuple[Reason, ssl.TLSVersion, Callable[[RecordWriter], bytes]]] = {
    "tickets": (Reason.PROTOCOL, NEW, lambda records: records.record(HANDSHAKE, TICKET)),
    "new keys": (Reason.PROTOCOL, NEW, lambda records: records.new_key(asks=False)),
    "requests for new keys": (Reason.PROTOCOL, NEW, lambda records: records.new_key(asks=True)),
    "empty records": (Reason.TLS, NEW, lambda records: records.record(DATA, b"")),
    "empty records of TLS 1.2": (Reason.TLS, OLD, lambda records: records.record(DATA, b"")),
    "warnings": (Reason.TLS, OLD, lambda records: records.record(ALERT, b"\1\x5a")),
    "requests for another handshake": (
        Reason.PROTOCOL,
        OLD,
        lambda records: records.record(HANDSHAKE, bytes(4)),
    ),
}


def attacks(honest: Script, prelude: bytes | Script = b"") -> Mapping[str, Attack]:
    """Return the attacks of one kind of server.

    Args:
        honest: an honest server, without TLS.
        prelude: what comes before the handshake.
    """
    opened, usual = script(prelude, over_tls(script())), script(prelude, over_tls(honest))
    return {
        "honest": Attack(usual, None, passes=2),
        "honest, a byte at a time": Attack(byte_by_byte(usual), None),
        "a key of 16384 bits": attack(prelude, over_tls(honest, LARGE), reason=None),
        "a chain of 100 KB": attack(prelude, over_tls(honest, LONG)),
        "DHE with 8192 bits": attack(prelude, over_tls(honest, RSA, dhe_8192), reason=Reason.TLS),
        "a group of 8192 bits": attack(prelude, over_tls(honest, GOOD, group_8192), reason=None),
        "ten thousand tickets": attack(prelude, over_tls(honest, GOOD, many_tickets)),
        "half a handshake": attack(
            prelude, limited(700, over_tls(honest)), reason=Reason.DISCONNECTED
        ),
        **{
            f"{name} to a greeting": attack(prelude, read_hello, *steps, reason=reason)
            for name, (reason, *steps) in GREETINGS.items()
        },
        **{
            f"{name} after a handshake": attack(
                prelude, repeat_record(make, version), reason=reason
            )
            for name, (reason, version, make) in RECORDS.items()
        },
        "records that can't be opened after a handshake": attack(
            opened, endless(b"\x17\x03\x03\0\x20" + bytes(32)), reason=Reason.TLS
        ),
        "plain text after a handshake": attack(
            opened, endless(b"HTTP/1.1 200 OK\r\n\r\n"), reason=Reason.TLS
        ),
    }


TLS = {
    "https": attacks(http_attacks.honest),
    "rediss": attacks(redis_server.honest),
    "postgres over TLS": attacks(postgres_server.honest, accept_tls),
}
