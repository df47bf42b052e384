"""TLS without a socket: bytes in, bytes out."""

import contextlib
import os
import re
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from app.checks.errors import PlainAnswerError
from app.checks.network import BlockingCall, run_in_thread


# Bytes. The bundle of a Linux distribution has a quarter of a megabyte.
MAX_FILE = 2_000_000

# The names by which OpenSSL finds a certificate in a directory, which it reads in a handshake.
# https://docs.openssl.org/3.0/man3/X509_LOOKUP_hash_dir/
HASHED = re.compile(r"[0-9a-f]{8}\.\d+")

# Python's own ciphers without DHE: a server could choose a group of 8192 bits, whose arithmetic
# takes 0.25 s. Python can't leave out the groups of TLS 1.3.
CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"

NO_CERTIFICATE = (
    "No CA certificate found. Install ca-certificates, name a PEM file in SSL_CERT_FILE, "
    "or run `openssl rehash` on the directory in SSL_CERT_DIR."
)

Identity = tuple[str, int, int, int, int, int]


class AuthorityError(ssl.SSLError):
    """The CA certificates can't be used. The message names the file and the remedy."""

    def __init__(self, problem: str) -> None:
        super().__init__(0, problem)


@dataclass(frozen=True, slots=True)
class LoadedContext:
    """A context, and what its CA certificates were read from.

    Attributes:
        seen: identities of the file and of the directories, whose times change with their names.
        entries: identities of the files in the directories.

    """

    context: ssl.SSLContext
    seen: list[Identity]
    entries: list[Identity]

    def is_current(self, seen: list[Identity], folders: list[str]) -> bool:
        """Return whether a context made now would trust the same CAs.

        OpenSSL reads a directory's entry when a handshake needs it, and keeps it. It can't be asked
        which: before Python 3.11.9 that races with a handshake.
        """
        return self.seen == seen and self.entries == _entries(folders)


class TrustStore:
    """Decides which servers a TLS client trusts.

    Private CAs often lack what RFC 5280 demands, so `VERIFY_X509_STRICT`, which Python 3.13 sets
    by default and psql and redis-cli do not, is off. `VERIFY_X509_PARTIAL_CHAIN`, which 3.13 sets
    too, is on: an intermediate CA that is trusted needs no root.

    Args:
        ca_file: PEM file with the trusted CAs. Without one, those of the system are trusted, or
            those that OpenSSL's variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
        check_hostname: whether the certificate must be issued for the host.
        verify: whether the certificate is verified at all.

    """

    def __init__(
        self, ca_file: str | None = None, *, check_hostname: bool = True, verify: bool = True
    ) -> None:
        self._ca_file = ca_file
        self._check_hostname = check_hostname and verify
        self._verify = verify
        self._made: LoadedContext | None = None
        self._read = BlockingCall(self.read, "read CA certificates")

    async def context(self) -> ssl.SSLContext:
        """Return the context for the next connection, without blocking the event loop.

        Raises:
            AuthorityError: the CA certificates can't be used.

        """
        return await self._read()

    def read(self) -> ssl.SSLContext:
        """Return the context for the next connection: the last one unless the disk has changed.

        Raises:
            AuthorityError: the CA certificates can't be used.

        """
        file, folders = self._places() if self._verify else (None, [])
        # Examined before it is read: what is replaced in between is noticed at the next call.
        seen = [*([_file(Path(file))] if file else []), *_directories(folders)]
        if not self._made or not self._made.is_current(seen, folders):
            entries = _entries(folders)
            if self._verify and not (file or entries):
                raise AuthorityError(NO_CERTIFICATE)
            context = self._context(file, folders)
            self._made = LoadedContext(context, seen, entries)
        return self._made.context

    def _places(self) -> tuple[str | None, list[str]]:
        """Return the file and the directories of the trusted CAs."""
        if self._ca_file:
            return self._ca_file, []
        paths = ssl.get_default_verify_paths()
        folders = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
        file = os.environ.get(paths.openssl_cafile_env) or paths.cafile
        return file, [folder for folder in folders.split(":") if folder]

    def _context(self, file: str | None, folders: list[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION  # a handshake, while no thread waits for one
        context.check_hostname = self._check_hostname
        context.verify_mode = ssl.CERT_REQUIRED if self._verify else ssl.CERT_NONE
        context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
        if folders:
            context.load_verify_locations(capath=":".join(folders))
        if file:
            try:
                context.load_verify_locations(cafile=file)
            except ssl.SSLError:
                raise _unfit(file, "is not PEM") from None
            except OSError as error:
                raise _unfit(file, f"can't be read ({error.strerror})") from None
            if not context.cert_store_stats()["x509"]:
                raise _unfit(file, "holds no certificate")
        return context


def _file(path: Path) -> Identity:
    """Identify a file that OpenSSL can read without hanging or filling the memory."""
    try:
        found = path.stat()
    except OSError as error:
        raise _unfit(path, f"can't be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise _unfit(path, "is not a file")
    if found.st_size > MAX_FILE:
        raise _unfit(path, f"has more than {MAX_FILE} bytes")
    return _identity(path, found)


def _directories(folders: list[str]) -> list[Identity]:
    """Identify the directories. One that can't be seen has no entries, as for OpenSSL."""
    found = []
    for folder in map(Path, folders):
        with contextlib.suppress(OSError):
            found.append(_identity(folder, folder.stat()))
    return found


def _entries(folders: list[str]) -> list[Identity]:
    """Identify the files that OpenSSL may read in the directories."""
    paths = list[Path]()
    for folder in map(Path, folders):
        with contextlib.suppress(OSError):
            paths += sorted(path for path in folder.iterdir() if HASHED.fullmatch(path.name))
    # A certificate that was removed often leaves its link behind.
    return [_file(path) for path in paths if os.access(path, os.R_OK)]


def _identity(path: Path, found: os.stat_result) -> Identity:
    times = found.st_mtime_ns, found.st_ctime_ns
    return str(path), found.st_dev, found.st_ino, found.st_size, *times


def _unfit(path: str | Path, problem: str) -> AuthorityError:
    return AuthorityError(f"CA file {path} {problem}. Put a PEM file there, or correct its path.")


# A record begins with one of these types, then 3, whatever its version. No answer in plain text
# does. https://www.rfc-editor.org/rfc/rfc8446#section-5.1
TYPES = range(0x14, 0x18)
RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")

# Bytes before the content of a record: its type, version and length.
HEADER = 5

# A record holds no more.
READ_SIZE = 16 * 1024


class TlsStream:
    """One side of a connection over TLS, the client's.

    Attributes:
        is_over: whether the other side has said that nothing more comes.

    """

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        self.is_over = False
        self.outgoing = ssl.MemoryBIO()
        self._incoming = ssl.MemoryBIO()
        self._partial = bytearray()
        self.object = context.wrap_bio(self._incoming, self.outgoing, server_hostname=server_name)

    def receive(self, data: bytes, most: int) -> int:
        """Take in what has arrived after the handshake, as `take_records` does."""
        self._partial += data
        return self.take_records(self._partial, most)

    def take_records(self, received: bytearray, most: int) -> int:
        """Move so many whole records at most out of what has arrived, and return how many.

        A step of the handshake is worth a thread when it can go on. Each record costs work that
        its length does not show, such as new keys.

        Raises:
            PlainAnswerError: something is no record.

        """
        records, end, following = -1, 0, 0
        while following <= len(received) and records < most:
            records, end = records + 1, following
            if end < len(received) and received[end] not in TYPES:
                msg = "answers in plain text where TLS is expected"
                raise PlainAnswerError(msg)
            header = received[end : end + HEADER]
            following = end + HEADER + int.from_bytes(header[3:])
            if len(header) < HEADER:
                break
        self._incoming.write(received[:end])
        del received[:end]
        return records

    async def shakes_hands(self) -> bool:
        """Return whether the handshake is complete; if not, more has to arrive."""
        outcome = await run_in_thread(self.object.do_handshake, "TLS handshake")
        if isinstance(outcome, ssl.SSLWantReadError):
            return False
        if isinstance(outcome, Exception):
            raise outcome
        return True

    def read(self) -> bytes:
        """Return what can be decrypted of what has arrived.

        Raises:
            ssl.SSLError: something that has arrived is no TLS.

        """
        data = bytearray()
        try:
            while part := self.object.read(READ_SIZE):
                data += part
            self.is_over = True
        except ssl.SSLWantReadError:
            pass
        return bytes(data)
