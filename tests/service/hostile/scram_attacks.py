"""Attacks of PostgreSQL servers during SCRAM, and in answer to the request for TLS."""

import base64

from app.health import Reason
from tests.service.hostile.client import Attack, Client, Script, hang_up, script
from tests.service.hostile.postgres_server import (
    AUTHENTICATED,
    SALT,
    WELCOME,
    answer_queries,
    authentication,
    challenge,
    read_message,
    scram,
    started,
)


def challenged(text: bytes) -> Script:
    """Return a script that sends a challenge. `NONCE` is replaced with the client's nonce."""

    async def run(client: Client) -> None:
        await client.write(authentication(10, b"SCRAM-SHA-256\0\0"))
        nonce = (await read_message(client)).split(b"r=")[1]
        await client.write(authentication(11, text.replace(b"NONCE", nonce)))

    return script(started, run)


def proven(end: bytes) -> Script:
    """Return a script that sends *end* in place of the server's signature."""

    async def run(client: Client) -> None:
        await client.write(authentication(10, b"SCRAM-SHA-256\0\0"))
        nonce = (await read_message(client)).split(b"r=")[1]
        await client.write(authentication(11, challenge(nonce, SALT, b"4096")))
        await read_message(client)
        await client.write(end)

    return script(started, run, WELCOME, answer_queries)


COUNTS = (b"0", b"-1", b"+4096", b" 4096", b"4096 ", b"04096", b"4_096", b"1e3", b"0x10",
          b"2000001", b"10000000", b"2147483647", b"4294967296", b"1" + b"0" * 30,
          b"9" * 5000, "\u0664\u0660".encode(), b"", b"x")  # fmt: skip

ITERATIONS = {
    f"{count[:12]!r} iterations": Attack(challenged(challenge(b"NONCE", SALT, count)))
    for count in COUNTS
}

CHALLENGES = {
    f"challenge {text[:60]!r}": Attack(challenged(text))
    for text in (
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
        b"r=NONCEserver,s=" + base64.b64encode(bytes(40_000)) + b",i=4096",
        b"i=4096,s=" + SALT + b",r=NONCEserver",
        b"e=other-error",
        b"\xff" * 100,
    )
}

OFFERS = {
    f"mechanisms {offered[:40]!r}": Attack(script(started, authentication(10, offered)))
    for offered in (
        b"",
        b"\0",
        b"SCRAM-SHA-256-PLUS\0\0",
        b"SCRAM-SHA-1\0\0",
        b"PLAIN\0\0",
        b"scram-sha-256\0\0",
        b"OAUTHBEARER\0\0",
        b"x" * 60_000 + b"\0\0",
        b"A\0" * 30_000,
    )
}

# libpq refuses these too: the server has not proved that it knows the password.
ENDS = {
    "no signature": Attack(proven(AUTHENTICATED)),
    "a wrong signature": Attack(
        script(
            started,
            scram(finishes=lambda _: b"v=" + base64.b64encode(bytes(32))),
            AUTHENTICATED,
            WELCOME,
            answer_queries,
        )
    ),
    "an empty signature": Attack(script(started, scram(finishes=lambda _: b"v="))),
    "a signature without its name": Attack(script(started, scram(finishes=lambda signed: signed))),
    "an error for a signature": Attack(script(started, scram(finishes=lambda _: b"e=other-error"))),
    "a signature that goes on": Attack(
        script(started, scram(finishes=lambda signed: b"v=" + signed + b",x=1"))
    ),
    "no welcome after a signature": Attack(script(started, scram(), WELCOME)),
    "a second challenge": Attack(proven(authentication(11, b"r=again"))),
    "a password in clear after a proof": Attack(proven(authentication(3))),
    "a second offer": Attack(proven(authentication(10, b"SCRAM-SHA-256\0\0"))),
}


def honest(iterations: int) -> Attack:
    """Return an honest server that asks for a number of iterations."""
    known = scram(
        challenges=lambda nonce: challenge(nonce, SALT, str(iterations).encode()),
        iterations=iterations,
    )
    return Attack(script(started, known, AUTHENTICATED, WELCOME, answer_queries), None, passes=1)


# The answer to the request for TLS is one byte. A man in the middle could append more.
# https://www.postgresql.org/support/security/CVE-2021-23222/
UPGRADES = {
    "yes to TLS with more": Attack(script(b"S" + AUTHENTICATED + WELCOME)),
    "yes to TLS twice": Attack(script(b"SS")),
    "neither yes nor no to TLS": Attack(script(b"X")),
    "zero to TLS": Attack(script(b"\0")),
    "a record of TLS in place of yes": Attack(
        script(b"\x15\x03\x01\0\x02\x02\x28"), Reason.PROTOCOL
    ),
    "an error to TLS": Attack(script(b"E" + bytes(40) + b"junk"), Reason.PROTOCOL),
    "an end to TLS": Attack(script(b"N", hang_up), Reason.DISCONNECTED),
}

SCRAM: dict[str, Attack] = {
    **ITERATIONS, **CHALLENGES, **OFFERS, **ENDS,
    "honest with 1 iteration": honest(1),
    "honest with 4096 iterations": honest(4096),
    "honest with 600000 iterations": honest(600_000),
}  # fmt: skip
