"""Attacks of servers over TLS, and of servers that do not speak TLS although they should."""

import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from app.health import Reason
from tests.service.hostile import http_attacks, postgres_server, redis_server
from tests.service.hostile.client import (
    Attack,
    Client,
    Script,
    byte_by_byte,
    endless,
    hang_up,
    limited,
    script,
    stay_silent,
    trickle,
)
from tests.service.hostile.tls_certificates import GOOD, GROUP, LARGE, LONG, RSA
from tests.service.hostile.tls_server import (
    ALERT,
    DATA,
    HANDSHAKE,
    Configure,
    over_tls,
    repeat_record,
)


async def read_hello(client: Client) -> None:
    """Read the start of the client's handshake."""
    await client.read_some()


async def accept_tls(client: Client) -> None:
    """Accept PostgreSQL's request for TLS."""
    await client.read(8)
    await client.write(b"S")


HONEST: Mapping[str, Script] = {
    "https": script(http_attacks.read_request, http_attacks.HONEST),
    "rediss": redis_server.honest,
    "postgres over TLS": postgres_server.honest,
}
PRELUDES: Mapping[str, Script] = {"postgres over TLS": accept_tls}


def with_certificate(certificate: str) -> Configure:
    """Return a configuration with another certificate."""
    return lambda context, folder: context.load_cert_chain(folder / certificate)


def dhe_8192(context: ssl.SSLContext, folder: Path) -> None:
    """Configure DHE with 8192 bits as the only key exchange."""
    context.load_cert_chain(folder / RSA)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384")
    context.load_dh_params(str(folder / GROUP))


def group_8192(context: ssl.SSLContext, folder: Path) -> None:
    """Configure a group of 8192 bits as the only one, in TLS 1.3."""
    context.load_cert_chain(folder / GOOD)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve("ffdhe8192")


def many_tickets(context: ssl.SSLContext, folder: Path) -> None:
    """Configure ten thousand session tickets."""
    context.load_cert_chain(folder / GOOD)
    context.num_tickets = 10_000


GREETINGS = {
    "a record of junk": (
        script(read_hello, b"\x16\x03\x03\x00\x20" + b"\xff" * 32),
        Reason.TLS,
    ),
    "a record that trickles": (
        script(read_hello, b"\x16\x03\x03\x40\x00", trickle(b"\2")),
        Reason.TIMEOUT,
    ),
    "a hello of 16 MB": (
        script(read_hello, endless(b"\x16\x03\x03\x40\x00" + b"\2\xff\xff\xff" + b"x" * 16_380)),
        Reason.TLS,
    ),
    "records of nothing": (script(read_hello, endless(b"\x16\x03\x03\0\0")), Reason.TLS),
    "warnings without an end": (
        script(read_hello, endless(b"\x15\x03\x03\0\2\1\0")),
        Reason.TLS,
    ),
    "an alert": (script(read_hello, b"\x15\x03\x03\0\2\2\x28", hang_up), Reason.TLS),
    "HTTP": (script(read_hello, b"HTTP/1.1 400 Bad Request\r\n\r\n", hang_up), Reason.TLS),
    "an error of Redis": (
        script(read_hello, b"-ERR Protocol error\r\n", hang_up),
        Reason.TLS,
    ),
    "an error of PostgreSQL": (
        script(read_hello, b"EFATAL: unsupported\0", hang_up),
        Reason.TLS,
    ),
    "plain text without an end": (script(read_hello, endless(b"220 hello\r\n")), Reason.TLS),
    "an end": (script(read_hello, hang_up), Reason.DISCONNECTED),
    "nothing": (script(read_hello, stay_silent), Reason.TIMEOUT),
}

NEW, OLD = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
TICKET = b"\4\0\0\x15" + bytes(8) + b"\0" + b"\0\x08" + b"tickets!" + b"\0\0"

# Sent repeatedly after the handshake.
AFTER_HANDSHAKE = {
    "tickets": repeat_record(lambda records: records.record(HANDSHAKE, TICKET), NEW),
    "new keys": repeat_record(lambda records: records.new_key(asks=False), NEW),
    "requests for new keys": repeat_record(lambda records: records.new_key(asks=True), NEW),
    "empty records": repeat_record(lambda records: records.record(DATA, b""), NEW),
    "empty records of TLS 1.2": repeat_record(lambda records: records.record(DATA, b""), OLD),
    "warnings": repeat_record(lambda records: records.record(ALERT, b"\1\x5a"), OLD),
    "requests for another handshake": repeat_record(
        lambda records: records.record(HANDSHAKE, bytes(4)), OLD
    ),
    "records that can't be opened": script(
        over_tls(script()), endless(b"\x17\x03\x03\0\x20" + bytes(32))
    ),
    "plain text": script(over_tls(script()), endless(b"HTTP/1.1 200 OK\r\n\r\n")),
}

REASONS = {
    "records that can't be opened": Reason.TLS,
    "plain text": Reason.TLS,
    "empty records": Reason.TLS,
    "empty records of TLS 1.2": Reason.TLS,
    "warnings": Reason.TLS,
}


def table(kind: str) -> dict[str, Attack]:
    """Return the attacks of one kind of server."""
    honest = HONEST[kind]
    begins = partial(script, PRELUDES.get(kind, script()))
    usual = begins(over_tls(honest))
    return {
        "honest": Attack(usual, None, passes=2),
        "honest, a byte at a time": Attack(byte_by_byte(usual), None),
        "a key of 16384 bits": Attack(begins(over_tls(honest, with_certificate(LARGE))), None),
        "a chain of 100 KB": Attack(begins(over_tls(honest, with_certificate(LONG)))),
        "DHE with 8192 bits": Attack(begins(over_tls(honest, dhe_8192)), Reason.TLS),
        "a group of 8192 bits": Attack(begins(over_tls(honest, group_8192)), None),
        "ten thousand tickets": Attack(begins(over_tls(honest, many_tickets))),
        "half a handshake": Attack(begins(limited(700, over_tls(honest))), Reason.DISCONNECTED),
        **{
            f"{name} to a greeting": Attack(begins(greeting), reason)
            for name, (greeting, reason) in GREETINGS.items()
        },
        **{
            f"{name} after a handshake": Attack(begins(attack), REASONS.get(name, Reason.PROTOCOL))
            for name, attack in AFTER_HANDSHAKE.items()
        },
    }


TLS: Mapping[str, Mapping[str, Attack]] = {kind: table(kind) for kind in HONEST}
