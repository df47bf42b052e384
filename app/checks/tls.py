"""Which TLS servers to trust, and TLS over bytes in memory instead of a socket."""

import contextlib
import os
import re
import ssl
import stat
from pathlib import Path

from app.checks.errors import ClientCertificateError, PlainAnswerError
from app.checks.network import BlockingCall, run_in_thread
from app.health import Certificate


# Bytes of a file. The CA bundle of a Linux distribution has a quarter of a megabyte.
MAX_FILE = 2_000_000

# The names under which OpenSSL looks for a certificate in a directory during a handshake.
# https://docs.openssl.org/3.0/man3/X509_LOOKUP_hash_dir/
HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")

# Python's default ciphers without DHE: a server could choose a group of 8192 bits, whose
# arithmetic takes 0.25 s. Python can't restrict the groups of TLS 1.3.
CIPHERS = "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"

NO_CERTIFICATE = (
    "No CA certificate found. Install ca-certificates, name a PEM file in SSL_CERT_FILE, "
    "or run `openssl rehash` on the directory in SSL_CERT_DIR."
)

# How the errors call the files.
CA_FILE = "CA file"
CERTIFICATE, KEY = "client certificate", "client key"

# Path, device, inode, size, and the times of the last change, which change if a file is replaced.
FileIdentity = tuple[str, int, int, int, int, int]


class CertificateFileError(ssl.SSLError):
    """CA certificates, or those of the client, can't be used. The message has file and remedy."""

    def __init__(self, problem: str) -> None:
        super().__init__(0, problem)


class TrustStore:
    """Decides which servers a TLS client trusts, and which certificate it presents to them.

    Private CAs often lack what RFC 5280 demands, so `VERIFY_X509_STRICT`, which Python 3.13 sets
    by default and psql and redis-cli do not, is off. `VERIFY_X509_PARTIAL_CHAIN`, which 3.13 sets
    too, is on: an intermediate CA that is trusted needs no root.

    Args:
        ca_file: PEM file with the trusted CAs. Without one, the system's CAs are trusted, or those
            that OpenSSL's variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
        certificate_file: PEM file with the client's certificate, and its chain if there is one.
        key_file: PEM file with the key of that certificate, if it is not in the same file.
        check_hostname: whether the certificate must be issued for the host.
        verify: whether the certificate is verified at all.
    """

    def __init__(
        self,
        ca_file: str | None = None,
        certificate_file: str | None = None,
        key_file: str | None = None,
        *,
        check_hostname: bool = True,
        verify: bool = True,
    ) -> None:
        self._ca_file = ca_file
        self._certificate_file, self._key_file = certificate_file, key_file
        self._check_hostname = check_hostname and verify
        self._verify = verify
        # One tuple, as several threads may load at once.
        self._cached: tuple[list[FileIdentity], ssl.SSLContext] | None = None
        self._load = BlockingCall(self.load, "load certificates")

    async def context(self) -> ssl.SSLContext:
        """Return the context for the next connection, without blocking the event loop.

        Raises:
            CertificateFileError: certificates can't be used.
        """
        return await self._load()

    def load(self) -> ssl.SSLContext:
        """Return the context for the next connection: the cached one unless a file has changed.

        Raises:
            CertificateFileError: certificates can't be used.
        """
        file, folders = self._locations() if self._verify else (None, [])
        # Identified before they are read: the next call notices a replacement in between.
        files = (CA_FILE, file), (CERTIFICATE, self._certificate_file), (KEY, self._key_file)
        sources = [_identify_file(Path(path), title) for title, path in files if path]
        sources += _identify_folders(folders)
        # Entries count even if no handshake has needed them: OpenSSL caches an entry that it reads,
        # and before Python 3.11.9, asking which ones it has read is a race with a handshake.
        sources += (entries := _identify_entries(folders))
        cached = self._cached
        if cached and cached[0] == sources:
            return cached[1]
        if self._verify and not (file or entries):
            raise CertificateFileError(NO_CERTIFICATE)
        context = self._create_context(file, folders)
        self._cached = sources, context
        return context

    def _locations(self) -> tuple[str | None, list[str]]:
        """Return the file and the directories of the trusted CAs."""
        if self._ca_file:
            return self._ca_file, []
        paths = ssl.get_default_verify_paths()
        folders = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
        file = os.environ.get(paths.openssl_cafile_env) or paths.cafile
        return file, [folder for folder in folders.split(":") if folder]

    def _create_context(self, file: str | None, folders: list[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers(CIPHERS)
        # A renegotiation would be a handshake on the event loop.
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.check_hostname = self._check_hostname
        context.verify_mode = ssl.CERT_REQUIRED if self._verify else ssl.CERT_NONE
        context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
        if folders:
            context.load_verify_locations(capath=":".join(folders))
        if file:
            try:
                context.load_verify_locations(cafile=file)
            except ssl.SSLError:
                raise _file_error(file, "is not PEM") from None
            except OSError as error:
                raise _file_error(file, f"can't be read ({error.strerror})") from None
            if not context.cert_store_stats()["x509"]:
                raise _file_error(file, "holds no certificate")
        if self._certificate_file:
            _load_certificate(context, self._certificate_file, self._key_file)
        return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    """Load the client's certificate and its key."""
    files = " and ".join(path for path in (certificate, key) if path)
    try:
        # OpenSSL would ask on the terminal for the password of an encrypted key.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = "must hold a certificate and its own key, not that of another one"
        else:
            problem = "must hold a certificate and its key, both as PEM and without a password"
        raise _file_error(files, problem, CERTIFICATE) from None
    except OSError as error:
        raise _file_error(files, f"can't be read ({error.strerror})", CERTIFICATE) from None


def _identify_file(path: Path, title: str = CA_FILE) -> FileIdentity:
    """Return the identity of a file that OpenSSL can read without hanging or using much memory."""
    try:
        found = path.stat()
    except OSError as error:
        raise _file_error(path, f"can't be read ({error.strerror})", title) from None
    if not stat.S_ISREG(found.st_mode):
        raise _file_error(path, "is not a file", title)
    if found.st_size > MAX_FILE:
        raise _file_error(path, f"has more than {MAX_FILE} bytes", title)
    return _identity(path, found)


def _identify_folders(folders: list[str]) -> list[FileIdentity]:
    """Return the identities of the directories, except the unreadable ones, which OpenSSL skips."""
    found = []
    for folder in map(Path, folders):
        with contextlib.suppress(OSError):
            found.append(_identity(folder, folder.stat()))
    return found


def _identify_entries(folders: list[str]) -> list[FileIdentity]:
    """Return the identities of the files that OpenSSL may read in the directories."""
    paths = list[Path]()
    for folder in map(Path, folders):
        with contextlib.suppress(OSError):
            paths += sorted(path for path in folder.iterdir() if HASHED_NAME.fullmatch(path.name))
    # The link to a certificate often stays when the certificate is removed.
    return [_identify_file(path) for path in paths if os.access(path, os.R_OK)]


def _identity(path: Path, found: os.stat_result) -> FileIdentity:
    times = found.st_mtime_ns, found.st_ctime_ns
    return str(path), found.st_dev, found.st_ino, found.st_size, *times


def _file_error(path: str | Path, problem: str, title: str = CA_FILE) -> CertificateFileError:
    msg = f"{title} {path} {problem}. Put a PEM file there, or correct its path."
    return CertificateFileError(msg)


# A record starts with one of these types, and its version with 3. No answer in plain text does.
# https://www.rfc-editor.org/rfc/rfc8446#section-5.1
RECORD_TYPES = range(0x14, 0x18)
RECORD_START = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")

# Bytes before the content of a record: its type, version and length.
RECORD_HEADER = 5

# The most bytes that a record can hold.
READ_SIZE = 16 * 1024


class TlsStream:
    """The client's side of TLS. It takes and returns bytes; the caller owns the connection.

    Attributes:
        is_closed: whether the server has announced the end of its data.
        outgoing: the bytes to send to the server.
        certificate: of the server, once it is verified.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        self.is_closed = False
        self.certificate: Certificate | None = None
        self.outgoing = ssl.MemoryBIO()
        self._incoming = ssl.MemoryBIO()
        self._partial = bytearray()
        # A certificate can't name the zone of an address or the dot of an absolute name, nor does
        # the server know them. https://www.rfc-editor.org/rfc/rfc6066#section-3
        name = server_name and server_name.partition("%")[0].removesuffix(".")
        self.ssl_object = context.wrap_bio(self._incoming, self.outgoing, server_hostname=name)

    def receive(self, data: bytes, max_records: int) -> int:
        """Feed data that arrived after the handshake; return the number of whole records."""
        self._partial += data
        return self.feed(self._partial, max_records)

    def feed(self, received: bytearray, max_records: int) -> int:
        """Move whole records from *received* to OpenSSL, and return their number.

        A handshake step costs a thread, so it must have a whole record to work on. Records are
        counted because each one costs work that its length does not show, such as new keys.

        Raises:
            PlainAnswerError: the data is not TLS.
        """
        records, end, following = -1, 0, 0
        while following <= len(received) and records < max_records:
            records, end = records + 1, following
            if end < len(received) and received[end] not in RECORD_TYPES:
                raise PlainAnswerError("answers in plain text where TLS is expected")
            header = received[end : end + RECORD_HEADER]
            following = end + RECORD_HEADER + int.from_bytes(header[3:])
            if len(header) < RECORD_HEADER:
                break
        self._incoming.write(received[:end])
        del received[:end]
        return records

    async def handshake(self) -> bool:
        """Continue the handshake, and return whether it is complete. If not, it needs more data.

        It runs on a thread: the server chooses the certificates and the key exchange, and so how
        long the arithmetic takes.

        Raises:
            ssl.SSLError: the handshake failed.
        """
        outcome = await run_in_thread(self._continue_handshake, "TLS handshake")
        if isinstance(outcome, ssl.SSLWantReadError):
            return False
        if isinstance(outcome, Exception):
            raise _classify_alert(outcome)
        return True

    def _continue_handshake(self) -> None:
        self.ssl_object.do_handshake()
        # Empty without verification. It may be long, so that it is decoded on this thread too.
        if found := self.ssl_object.getpeercert():
            times = (str(found[name]) for name in ("notBefore", "notAfter"))
            self.certificate = Certificate(*map(ssl.cert_time_to_seconds, times))

    def read(self) -> bytes:
        """Return the decrypted data that has arrived.

        Raises:
            ssl.SSLError: some of it is not valid TLS.
        """
        data = bytearray()
        try:
            while part := self.ssl_object.read(READ_SIZE):
                data += part
            self.is_closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # both sides have announced the end
            self.is_closed = True
        except ssl.SSLError as error:
            raise _classify_alert(error) from None
        return bytes(data)

    def close(self) -> None:
        """Announce the end of the client's data."""
        with contextlib.suppress(ssl.SSLError):  # OpenSSL has no answer yet
            self.ssl_object.unwrap()


# OpenSSL's names of the alerts about a client's certificate or the lack of one, which in TLS 1.2
# has no alert of its own. https://www.rfc-editor.org/rfc/rfc8446#section-6.2
REJECTION = re.compile("ALERT_.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)")


def _classify_alert(error: Exception) -> Exception:
    """Return a `ClientCertificateError` if the server sent such an alert, otherwise *error*."""
    is_rejection = REJECTION.search(getattr(error, "reason", None) or "")
    return ClientCertificateError(*error.args) if is_rejection else error
