"""Certificates and keys that are expensive for a client to verify."""

from base64 import encodebytes
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from math import gcd, prod
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from trustme import CA, KeyType


ROOT, GOOD, RSA, LARGE = "root.pem", "good.pem", "rsa.pem", "large.pem"
LONG, GROUP = "long.pem", "group.pem"

# Bits of the largest key that OpenSSL accepts, and the number of its primes. To find two primes, as
# usual, would take minutes.
LARGEST = 16384
PRIMES = 16


def write_certificates(folder: Path) -> None:
    """Write the certificates and keys of the servers, and the CAs that clients trust (`ROOT`)."""
    authority = CA()
    good = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    usual = authority.issue_cert("127.0.0.1", key_type=KeyType.RSA)
    large_key, large = _large()
    (folder / ROOT).write_bytes(authority.cert_pem.bytes() + large)
    (folder / GOOD).write_bytes(good)
    (folder / RSA).write_bytes(usual.private_key_and_cert_chain_pem.bytes())
    (folder / LARGE).write_bytes(large_key + large)
    (folder / LONG).write_bytes(good + authority.cert_pem.bytes() * 200)
    (folder / GROUP).write_bytes(_group())


def _large() -> tuple[bytes, bytes]:
    key = _large_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "large")])
    yesterday = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(yesterday)
        .not_valid_after(yesterday + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return pem, certificate.public_bytes(serialization.Encoding.PEM)


def _large_key() -> rsa.RSAPrivateKey:
    """Generate a key of two factors, each a product of primes. It costs as much as a usual one."""
    exponent = 65537
    found = list[int]()
    while len(found) < PRIMES:
        pair = rsa.generate_private_key(exponent, 2 * LARGEST // PRIMES).private_numbers()
        found += [pair.p, pair.q]
    halves = found[: PRIMES // 2], found[PRIMES // 2 :]
    p, q = map(prod, halves)
    orders = [prod(one - 1 for one in half) for half in halves]
    assert all(gcd(order, exponent) == 1 for order in orders)
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=pow(exponent, -1, prod(orders)),
        dmp1=pow(exponent, -1, orders[0]),
        dmq1=pow(exponent, -1, orders[1]),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(exponent, p * q),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def _group() -> bytes:
    """Return ffdhe8192, https://www.rfc-editor.org/rfc/rfc7919#appendix-A.5."""
    guard = 8300
    euler = term = 2**guard
    number = 1
    while term := term // number:
        euler += term
        number += 1
    prime = 2**8192 - 2**8128 + (((euler >> (guard - 8062)) + 10965728) << 64) - 1
    numbers = b"\x02\x82\x04\x01" + prime.to_bytes(1025) + b"\x02\x01\x02"
    der = b"\x30\x82\x04\x08" + numbers
    return b"-----BEGIN DH PARAMETERS-----\n%s-----END DH PARAMETERS-----\n" % encodebytes(der)
