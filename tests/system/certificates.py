"""Certificates that a server may present, and the root that a client may trust."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from trustme import CA, KeyType

from tests.support.private_ca import PrivateCA


# `VERIFY_X509_STRICT` would refuse the private one, but no client of these servers sets it.
KINDS = ("good", "private", "expired", "misnamed", "untrusted")
HOSTS = ("localhost", "127.0.0.1")
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class Certificates:
    """A certificate of each kind, with its key in the same file.

    Attributes:
        root: CA certificates that issued all certificates except the untrusted one.
    """

    def __init__(self, folder: Path) -> None:
        own, other = CA(), CA()
        self._issued = {
            "good": own.issue_cert(*HOSTS),
            "expired": own.issue_cert(*HOSTS, not_after=YESTERDAY),
            "misnamed": own.issue_cert("127.0.0.1"),  # the address of the server, but not its name
            "rsa": own.issue_cert(*HOSTS, key_type=KeyType.RSA),
            "untrusted": other.issue_cert(*HOSTS),
        }
        self.root = folder / "root.pem"
        self._private = PrivateCA()
        self.root.write_bytes(own.cert_pem.bytes() + self._private.pem)

    def write(self, kind: str, folder: Path) -> Path:
        """Write a certificate and its key to a file that only the owner can read."""
        file = folder / f"{kind}.pem"
        if kind == "private":
            return self._private.issue(file, *HOSTS)
        self._issued[kind].private_key_and_cert_chain_pem.write_to_path(file)
        file.chmod(0o600)
        return file
