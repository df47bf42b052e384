"""A private CA as scripts make them: RFC 5280 demands more of it, and few clients do."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


DAY = timedelta(days=1)


def named(name: str) -> x509.Name:
    """Return a subject."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class PrivateCA:
    """Issues certificates that `VERIFY_X509_STRICT` refuses.

    It has no key usage, its basic constraints are not critical, and nothing identifies the keys.
    Each has the same subject, as before and after a renewal.

    Attributes:
        hashed: the name by which OpenSSL finds it in a directory (`openssl x509 -hash`).

    """

    hashed = "cb0faf46.0"

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = self._signed("Private CA", self._key, authority)

    @property
    def pem(self) -> bytes:
        """The certificate that a client may trust."""
        return self._certificate.public_bytes(Encoding.PEM)

    def issue(self, file: Path, *hosts: str) -> Path:
        """Write a certificate for hosts, with its key, where a server reads it."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        certificate = self._signed("server", key, names)
        form = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        file.write_bytes(key.private_bytes(*form) + certificate.public_bytes(Encoding.PEM))
        file.chmod(0o600)
        return file

    def _signed(
        self, subject: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(named("Private CA"), named(subject), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
