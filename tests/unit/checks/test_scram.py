"""SCRAM-SHA-256 with the test vectors of RFC 7677 and RFC 4013, and with dishonest servers."""

import asyncio
import threading
from hashlib import pbkdf2_hmac

import pytest

from app.checks.errors import ProtocolError
from app.checks.scram import MAX_ITERATIONS, KeyDerivation, ScramClient, saslprep


SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = f"{NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"


@pytest.fixture(name="login")
def _login(monkeypatch: pytest.MonkeyPatch) -> ScramClient:
    """Start a login with the nonce of the RFC."""
    monkeypatch.setattr("app.checks.scram.secrets.token_urlsafe", lambda _: NONCE)
    return ScramClient("pencil", KeyDerivation())


def challenge(nonce: str = SERVER_NONCE, salt: str = SALT, iterations: object = 4096) -> bytes:
    """Return a server's challenge."""
    return f"r={nonce},s={salt},i={iterations}".encode()


async def test_the_proof_matches_the_rfc(
    login: ScramClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 7677, section 3. PostgreSQL takes the user from the startup message instead."""
    monkeypatch.setattr(login, "_first_bare", f"n=user,r={NONCE}".encode())
    answer = await login.final_message(challenge())
    assert answer.endswith(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    login.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("final", [b"", b"v=", b"v=AAAA", b"e=other-error"])
async def test_a_server_that_does_not_know_the_password_is_refused(
    login: ScramClient, final: bytes
) -> None:
    """Another process may listen on the server's address."""
    with pytest.raises(ProtocolError):
        login.verify(final)
    await login.final_message(challenge())
    with pytest.raises(ProtocolError):
        login.verify(final)


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"e=unknown-user",
        challenge(nonce=NONCE),
        challenge(nonce="another"),
        challenge(salt=""),
        challenge(salt="====")[:-1],
        challenge(salt="A"),
        challenge(iterations=""),
        challenge(iterations=0),
        challenge(iterations=-1),
        challenge(iterations=MAX_ITERATIONS + 1),
        challenge(iterations=2**31 - 1),
        challenge(iterations=10**30),
        challenge(iterations="4096,x=more"),
        b"m=mandatory," + challenge(),
        challenge() + b"\0",
    ],
)
async def test_a_malformed_challenge_is_refused_without_a_derivation(
    login: ScramClient, malformed: bytes
) -> None:
    """No thread starts for it."""
    before = set(threading.enumerate())
    with pytest.raises(ProtocolError):
        await login.final_message(malformed)
    assert before.issuperset(threading.enumerate())


async def test_one_derivation_runs_at_a_time() -> None:
    """A cancelled attempt leaves its thread running, and the next one waits for it."""
    derive = KeyDerivation()
    first = asyncio.create_task(derive("pencil", b"salt", MAX_ITERATIONS))
    await asyncio.sleep(0)
    first.cancel()
    others = [asyncio.create_task(derive("pencil", b"salt", 2)) for _ in range(3)]
    most = 0
    while not all(task.done() for task in others):
        most = max(most, [one.name for one in threading.enumerate()].count("derive a key"))
        await asyncio.sleep(0.001)
    assert most == 1
    assert {task.result() for task in others} == {pbkdf2_hmac("sha256", b"pencil", b"salt", 2)}


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("pencil", "pencil"),
        ("I\xadX", "IX"),
        ("user", "user"),
        ("\xaa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0627\u0031", "\u0627\u0031"),  # rejected: mixed directions
        ("\u0627\u0628", "\u0627\u0628"),
        ("w\u00f6rd\u0007", "w\u00f6rd\u0007"),  # rejected: a control character
        ("wo\u0308rd", "w\u00f6rd"),
        ("\u00ad", "\u00ad"),  # rejected: the result would be empty
        ("\U0001f511", "\U0001f511"),  # not in Unicode 3.2
    ],
)
def test_passwords_are_normalized_like_in_postgresql(password: str, expected: str) -> None:
    """RFC 4013, section 3. A password that it rejects is used unchanged."""
    assert saslprep(password) == expected
