"""TLS of a hostile server: its own records, mixed with those of OpenSSL.

https://www.rfc-editor.org/rfc/rfc8446#section-5, https://www.rfc-editor.org/rfc/rfc5288
"""

import hashlib
import hmac
import ssl
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.service.hostile.client import Client, Script
from tests.service.hostile.tls_certificates import GOOD


ALERT, HANDSHAKE, DATA = 21, 22, 23
HASH = hashlib.sha384
CIPHER = "ECDHE-ECDSA-AES256-GCM-SHA384"

Configure = Callable[[ssl.SSLContext, Path], None]


class TlsClient(Client):
    """The server's side of a TLS connection."""

    def __init__(self, client: Client, context: ssl.SSLContext) -> None:
        self.number, self.folder, self.raw = client.number, client.folder, client
        self.written = b""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._read = b""

    async def handshake(self) -> None:
        """Do the TLS handshake."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await self.raw.read_some())
            else:
                break
            finally:
                await self._flush()

    async def read(self, length: int) -> bytes:
        """Return exactly *length* bytes."""
        while len(self._read) < length:
            await self._read_more()
        data, self._read = self._read[:length], self._read[length:]
        return data

    async def read_until(self, end: bytes) -> bytes:
        """Return everything up to and including *end*."""
        while end not in self._read:
            await self._read_more()
        return await self.read(self._read.index(end) + len(end))

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        self.tls.write(data)
        await self._flush()

    async def wait_closed(self) -> None:
        """Wait until the client has closed the connection."""
        await self.raw.wait_closed()

    async def _read_more(self) -> None:
        try:
            self._read += self.tls.read(65536)
        except ssl.SSLWantReadError:
            self._incoming.write(await self.raw.read_some())

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            self.written += data
            await self.raw.write(data)


def use_good_certificate(context: ssl.SSLContext, folder: Path) -> None:
    """Configure the good certificate."""
    context.load_cert_chain(folder / GOOD)


def over_tls(script: Script, configure: Configure = use_good_certificate) -> Script:
    """Do the TLS handshake, then run a script over TLS."""

    async def run(client: Client) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        configure(context, client.folder)
        server = TlsClient(client, context)
        await server.handshake()
        await script(server)

    return run


class RecordWriter:
    """Encrypts records with the keys of a connection."""

    def __init__(self, server: TlsClient, keys: dict[str, str]) -> None:
        self.is_new = server.tls.version() == "TLSv1.3"
        self._number = 0
        if self.is_new:
            self._use_secret(bytes.fromhex(keys["SERVER_TRAFFIC_SECRET_0"]))
            return
        self._number = 1  # 0 was the last message of the handshake
        own, other = server.written[11:43], bytes.fromhex(keys["random"])
        seed, block = b"key expansion" + own + other, b""
        master, chained = bytes.fromhex(keys["CLIENT_RANDOM"]), b"key expansion" + own + other
        while len(block) < 72:
            chained = hmac.digest(master, chained, HASH)
            block += hmac.digest(master, chained + seed, HASH)
        self._key, self._salt = AESGCM(block[32:64]), block[68:72]

    def record(self, kind: int, content: bytes) -> bytes:
        """Return one record."""
        number = struct.pack("!Q", self._number)
        self._number += 1
        if not self.is_new:
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


def repeat_record(make: Callable[[RecordWriter], bytes], version: ssl.TLSVersion) -> Script:
    """Do the TLS handshake, read nothing, and send a custom record repeatedly."""

    async def run(client: Client) -> None:
        with tempfile.NamedTemporaryFile() as log:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            use_good_certificate(context, client.folder)
            context.minimum_version = context.maximum_version = version
            context.set_ciphers(CIPHER)
            context.num_tickets = 0
            context.keylog_filename = log.name
            server = TlsClient(client, context)
            await server.handshake()
            lines = [line.split() for line in log.read().decode().splitlines()]
        keys = {name: secret for name, _, secret in (one for one in lines if len(one) == 3)}
        random = next(one[1] for one in lines if len(one) == 3)
        records = RecordWriter(server, {**keys, "random": random})
        while True:
            await client.write(make(records))

    return run
