"""Attacks of PostgreSQL servers during SCRAM, and in answer to the request for TLS."""

from base64 import b64encode
from collections.abc import Callable

from app.health import Reason
from tests.service.hostile.client import Attack, attack, hang_up
from tests.service.hostile.postgres_server import (
    AUTHENTICATED,
    SALT,
    SCRAM_OFFER,
    WELCOME,
    answer_queries,
    authentication,
    challenge,
    scram,
    signed,
    started,
)


def challenged(text: bytes) -> Attack:
    """Return a challenge, in which `NONCE` is replaced with the client's nonce."""
    return attack(started, scram(lambda nonce: text.replace(b"NONCE", nonce), lambda _: b""))


COUNTS = (b"0", b"-1", b"+4096", b" 4096", b"4096 ", b"04096", b"4_096", b"1e3", b"0x10",
          b"2000001", b"10000000", b"2147483647", b"4294967296", b"1" + b"0" * 30,
          b"9" * 5000, "\u0664\u0660".encode(), b"", b"x")  # fmt: skip

CHALLENGES = (
    b"",
    b"r=NONCEserver,s=" + SALT,
    b"r=other,s=" + SALT + b",i=4096",
    b"r=NONCE,s=" + SALT + b",i=4096",
    b"r=,s=" + SALT + b",i=4096",
    b"r=serverNONCE,s=" + SALT + b",i=4096",
    b"r=NONCE\0\xff,s=" + SALT + b",i=4096",
    b"r=NONCEserver,s=,i=4096",
    b"r=NONCEserver,s=!!!!,i=4096",
    b"r=NONCEserver,s=abc,i=4096",
    b"r=NONCEserver,s=====,i=4096",
    b"m=must,r=NONCEserver,s=" + SALT + b",i=4096",
    b"r=NONCEserver,s=" + SALT + b",i=4096,x=more",
    b"r=NONCE" + b"s" * 60_000 + b",s=" + SALT + b",i=4096",
    b"r=NONCEserver,s=" + b64encode(bytes(40_000)) + b",i=4096",
    b"i=4096,s=" + SALT + b",r=NONCEserver",
    b"e=other-error",
    b"\xff" * 100,
)

OFFERED = (b"", b"\0", b"SCRAM-SHA-256-PLUS\0\0", b"SCRAM-SHA-1\0\0", b"PLAIN\0\0",
           b"scram-sha-256\0\0", b"OAUTHBEARER\0\0", b"x" * 60_000 + b"\0\0",
           b"A\0" * 30_000)  # fmt: skip

# What follows the client's proof, for the correct signature. libpq refuses these too: the server
# has not proved that it knows the password.
ENDS: dict[str, Callable[[bytes], bytes]] = {
    "no signature": lambda _: AUTHENTICATED,
    "a wrong signature": lambda _: signed(b64encode(bytes(32))) + AUTHENTICATED,
    "an empty signature": lambda _: signed(b"") + AUTHENTICATED,
    "a signature without its name": lambda right: authentication(12, right) + AUTHENTICATED,
    "an error for a signature": lambda _: authentication(12, b"e=other-error") + AUTHENTICATED,
    "a signature that goes on": lambda right: signed(right + b",x=1") + AUTHENTICATED,
    "no welcome after a signature": signed,
    "a second challenge": lambda _: authentication(11, b"r=again"),
    "a password in clear after a proof": lambda _: authentication(3),
    "a second offer": lambda _: SCRAM_OFFER,
}


def honest(iterations: int) -> Attack:
    """Return an honest server that asks for a number of iterations."""
    known = scram(lambda nonce: challenge(nonce, b"%d" % iterations), iterations=iterations)
    return attack(started, known, AUTHENTICATED, WELCOME, answer_queries, reason=None, passes=1)


SCRAM: dict[str, Attack] = {
    **{f"{count[:12]!r} iterations": challenged(challenge(b"NONCE", count)) for count in COUNTS},
    **{f"challenge {text[:60]!r}": challenged(text) for text in CHALLENGES},
    **{
        f"mechanisms {offered[:40]!r}": attack(started, authentication(10, offered))
        for offered in OFFERED
    },
    **{
        name: attack(started, scram(ends=ends), WELCOME, answer_queries)
        for name, ends in ENDS.items()
    },
    "honest with 1 iteration": honest(1),
    "honest with 4096 iterations": honest(4096),
    "honest with 600000 iterations": honest(600_000),
}

# The answer to the request for TLS is one byte. A man in the middle could append more.
# https://www.postgresql.org/support/security/CVE-2021-23222/
UPGRADES = {
    "yes to TLS with more": attack(b"S" + AUTHENTICATED + WELCOME),
    "yes to TLS twice": attack(b"SS"),
    "neither yes nor no to TLS": attack(b"X"),
    "zero to TLS": attack(b"\0"),
    "a record of TLS in place of yes": attack(b"\x15\x03\x01\0\x02\x02\x28"),
    "an error to TLS": attack(b"E" + bytes(40) + b"junk"),
    "an end to TLS": attack(b"N", hang_up, reason=Reason.DISCONNECTED),
}
