"""Certificates and keys that are expensive for a client to verify."""

from base64 import encodebytes
from math import factorial, prod
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.private_ca import PrivateCA


ROOT, GOOD, RSA, LARGE = "root.pem", "good.pem", "rsa.pem", "large.pem"
LONG, GROUP = "long.pem", "group.pem"

# Bits of the largest key that OpenSSL accepts, and the number of its primes. To find two primes, as
# usual, would take minutes.
LARGEST = 16384
PRIMES = 16

EXPONENT = 65537


def write_certificates(folder: Path) -> None:
    """Write the certificates and keys of the servers, and the CA that clients trust (`ROOT`)."""
    authority = PrivateCA()
    (folder / ROOT).write_bytes(authority.pem)
    good = authority.issue(folder / GOOD, "127.0.0.1")
    authority.issue(folder / RSA, "127.0.0.1", key=rsa.generate_private_key(EXPONENT, 2048))
    authority.issue(folder / LARGE, "127.0.0.1", key=_large_key())
    # More than a probe reads, and less than the 100 KB at which OpenSSL itself refuses.
    (folder / LONG).write_bytes(good.read_bytes() + authority.pem * 300)
    (folder / GROUP).write_bytes(_group())


def _large_key() -> rsa.RSAPrivateKey:
    """Generate a key of two factors, each a product of primes. It costs as much as a usual one."""
    usual = [rsa.generate_private_key(EXPONENT, 2 * LARGEST // PRIMES) for _ in range(PRIMES // 2)]
    pairs = [key.private_numbers() for key in usual]
    p, q = prod(one.p for one in pairs), prod(one.q for one in pairs)
    p_order, q_order = prod(one.p - 1 for one in pairs), prod(one.q - 1 for one in pairs)
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=pow(EXPONENT, -1, p_order * q_order),
        dmp1=pow(EXPONENT, -1, p_order),
        dmq1=pow(EXPONENT, -1, q_order),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def _group() -> bytes:
    """Return ffdhe8192, https://www.rfc-editor.org/rfc/rfc7919#appendix-A.5."""
    euler = sum(2**8300 // factorial(number) for number in range(1000))
    prime = 2**8192 - 2**8128 + (((euler >> (8300 - 8062)) + 10965728) << 64) - 1
    der = b"\x30\x82\x04\x08\x02\x82\x04\x01" + prime.to_bytes(1025) + b"\x02\x01\x02"
    return b"-----BEGIN DH PARAMETERS-----\n%s-----END DH PARAMETERS-----\n" % encodebytes(der)
