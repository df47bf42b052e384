"""TLS of a hostile server: its own records, mixed with those of OpenSSL.

https://www.rfc-editor.org/rfc/rfc8446#section-5, https://www.rfc-editor.org/rfc/rfc5288
"""

import contextlib
import hmac
import ssl
import struct
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.service.hostile.client import CHUNK, Client, Script, scripted
from tests.service.hostile.tls_certificates import GOOD


ALERT, HANDSHAKE, DATA = 21, 22, 23
CIPHER, HASH = "ECDHE-ECDSA-AES256-GCM-SHA384", "sha384"

T = TypeVar("T")


class TlsClient(Client):
    """The server's side of a TLS connection.

    Attributes:
        sent: the encrypted bytes sent so far.
    """

    def __init__(self, client: Client, context: ssl.SSLContext) -> None:
        self._raw, self._received, self.sent = client, b"", b""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        """Do the TLS handshake."""
        await self._run(self._tls.do_handshake)

    async def read_some(self) -> bytes:
        """Return the bytes that arrive next."""
        if data := await self._run(lambda: self._tls.read(CHUNK)):
            return data
        raise EOFError

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        await self._run(lambda: self._tls.write(data))

    async def _run(self, operation: Callable[[], T]) -> T:
        """Run an operation of OpenSSL, which may need more bytes of the client."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                try:
                    return operation()
                finally:
                    sent = self._outgoing.read()
                    self.sent += sent
                    await self._raw.write(sent)
            self._incoming.write(await self._raw.read_some())


def _context(client: Client, certificate: str = GOOD) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(client.folder / certificate)
    return context


@scripted
async def over_tls(
    client: Client,
    script: Script,
    certificate: str = GOOD,
    configure: Callable[[ssl.SSLContext, Path], None] = lambda *_: None,
) -> None:
    """Do the TLS handshake, then run a script over TLS."""
    context = _context(client, certificate)
    configure(context, client.folder)
    server = TlsClient(client, context)
    await server.handshake()
    await script(server)


class RecordWriter:
    """Encrypts records with the keys of a connection.

    Args:
        sent: what the server has sent, which begins with its random.
        keys: the random of the client and a secret, by the labels of OpenSSL's log of keys.
    """

    def __init__(self, sent: bytes, keys: Mapping[str, tuple[bytes, bytes]]) -> None:
        self._is_new = "CLIENT_RANDOM" not in keys
        if self._is_new:
            self._use_secret(keys["SERVER_TRAFFIC_SECRET_0"][1])
            return
        self._number = 1  # 0 was the last message of the handshake
        random, master = keys["CLIENT_RANDOM"]
        seed = chained = b"key expansion" + sent[11:43] + random
        block = b""
        while len(block) < 72:
            chained = hmac.digest(master, chained, HASH)
            block += hmac.digest(master, chained + seed, HASH)
        self._key, self._salt = AESGCM(block[32:64]), block[68:72]

    def record(self, kind: int, content: bytes) -> bytes:
        """Return one record."""
        number = struct.pack("!Q", self._number)
        self._number += 1
        if not self._is_new:
            associated_data = number + struct.pack("!BHH", kind, 0x303, len(content))
            encrypted = number + self._key.encrypt(self._salt + number, content, associated_data)
            return struct.pack("!BHH", kind, 0x303, len(encrypted)) + encrypted
        head = struct.pack("!BHH", DATA, 0x303, len(content) + 17)
        nonce = bytes(a ^ b for a, b in zip(self._salt, bytes(4) + number, strict=True))
        return head + self._key.encrypt(nonce, content + bytes([kind]), head)

    def new_key(self, *, asks: bool) -> bytes:
        """Return a KeyUpdate record, and switch to the new key."""
        record = self.record(HANDSHAKE, bytes([24, 0, 0, 1, asks]))
        self._use_secret(_expand(self._secret, b"traffic upd", 48))
        return record

    def _use_secret(self, secret: bytes) -> None:
        self._secret, self._number = secret, 0
        self._key, self._salt = AESGCM(_expand(secret, b"key", 32)), _expand(secret, b"iv", 12)


def _expand(secret: bytes, label: bytes, length: int) -> bytes:
    label = b"tls13 " + label
    associated_data = struct.pack("!HB", length, len(label)) + label + b"\0\1"
    return hmac.digest(secret, associated_data, HASH)[:length]


@scripted
async def repeat_record(
    client: Client, make: Callable[[RecordWriter], bytes], version: ssl.TLSVersion
) -> None:
    """Do the TLS handshake, read nothing, and send a custom record repeatedly."""
    with tempfile.NamedTemporaryFile() as log:
        context = _context(client)
        context.minimum_version = context.maximum_version = version
        context.set_ciphers(CIPHER)
        context.num_tickets = 0
        context.keylog_filename = log.name
        server = TlsClient(client, context)
        await server.handshake()
        lines = [line.split() for line in log.read().decode().splitlines() if line[0] != "#"]
    keys = {label: (bytes.fromhex(random), bytes.fromhex(key)) for label, random, key in lines}
    records = RecordWriter(server.sent, keys)
    while True:
        await client.write(make(records))
