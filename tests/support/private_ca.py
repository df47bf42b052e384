"""A private CA as scripts create it, without what RFC 5280 demands and few clients check."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


DAY = timedelta(days=1)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def subject(name: str) -> x509.Name:
    """Return a distinguished name with this common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class PrivateCA:
    """Issues certificates that `VERIFY_X509_STRICT` refuses.

    Its certificate has no key usage and no key identifier, and its basic constraints are not
    critical. Each CA has the same subject, like a CA before and after its renewal.

    Attributes:
        pem: its certificate.
        hashed: the name under which OpenSSL finds it in a directory (`openssl x509 -hash`).
    """

    hashed = "cb0faf46.0"

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self.pem = self._sign("Private CA", self._key, authority)

    def issue(
        self,
        file: Path,
        *hosts: str,
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
        key: PrivateKey | None = None,
    ) -> Path:
        """Write a certificate for hosts and its key into a file, and return the file.

        Args:
            begins: when its validity begins, from now on.
            ends: when its validity ends, from now on.
            key: the key of the server; a new one by default.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        certificate = self._sign("server", key, names, (begins, ends))
        form = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        file.write_bytes(key.private_bytes(*form) + certificate)
        file.chmod(0o600)
        return file

    def _sign(
        self,
        common_name: str,
        key: PrivateKey,
        extension: x509.ExtensionType,
        validity: tuple[timedelta, timedelta] = (-DAY, DAY),
    ) -> bytes:
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(subject("Private CA"), subject(common_name), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + validity[0])
            .not_valid_after(now + validity[1])
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
