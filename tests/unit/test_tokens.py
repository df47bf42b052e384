"""Tokens of operators, and the key that signs them."""

import logging
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth import INVALID, SCOPE, TokenVerifier, issue
from app.settings.secrets import Secret, SecretError, read_signing_key


# Long enough for every algorithm.
KEY, OTHER = "k" * 64, "o" * 64
LONG_AGO, LATER = 10**9, 2**32


@pytest.fixture(name="secret")
def _secret(tmp_path: Path) -> Secret:
    secret = Secret("jwt_secret", tmp_path / "jwt_secret")
    secret.path.write_text(KEY)
    return secret


@pytest.fixture(name="tokens")
def _tokens(secret: Secret) -> TokenVerifier:
    tokens = TokenVerifier(lambda: secret)
    tokens.poll()
    return tokens


def token(claims: dict[str, Any], signing: str = KEY, algorithm: str | None = "HS256") -> str:
    """Return a token with any claims."""
    return jwt.encode(claims, signing if algorithm else "", algorithm)


GOOD = {"scope": SCOPE, "exp": LATER}
NO_SCOPE = "lacks the scope health:read"


@pytest.mark.parametrize(
    ("shown", "refusal"),
    [
        (issue(KEY, SCOPE, LATER), ""),
        (token(GOOD), ""),
        (token({**GOOD, "scope": f"other {SCOPE}"}), ""),
        (token(GOOD, OTHER), INVALID),
        (token(GOOD, algorithm=None), INVALID),
        (token(GOOD, algorithm="HS384"), INVALID),
        (token(GOOD, algorithm="HS512"), INVALID),
        (token({**GOOD, "exp": LONG_AGO}), "has expired"),
        (token({**GOOD, "exp": "soon"}), INVALID),
        (token({"scope": SCOPE}), INVALID),
        (token({"exp": LATER}), INVALID),
        (token({**GOOD, "scope": ""}), NO_SCOPE),
        (token({**GOOD, "scope": "health:write"}), NO_SCOPE),
        (token({**GOOD, "scope": f"{SCOPE}s"}), NO_SCOPE),
        (token({**GOOD, "scope": [SCOPE]}), NO_SCOPE),
        (token({**GOOD, "scope": None}), INVALID),
        (token({**GOOD, "nbf": LATER}), INVALID),
        (token({**GOOD, "more": "x" * 2048}), INVALID),
        (f"{token(GOOD)}x", INVALID),
        ("", INVALID),
        ("..", INVALID),
    ],
)
def test_a_token_is_valid_only_if_all_of_it_is_correct(
    tokens: TokenVerifier, shown: str, refusal: str
) -> None:
    """Algorithm, key, expiry and scope. Only who knows the key learns about the last two."""
    assert tokens.refusal(shown) == refusal


@given(st.text(st.characters(max_codepoint=255)))
def test_garbage_is_an_invalid_token(shown: str) -> None:
    """It never raises an error, whatever a client sends."""
    tokens = TokenVerifier(lambda: Secret("jwt_secret", Path("none")))
    tokens._key = KEY  # noqa: SLF001 - no file for each of a hundred examples
    assert tokens.refusal(shown)
    assert tokens.refusal(f"{shown}.{shown}.{shown}")


def test_tokens_of_a_replaced_key_are_invalid(tokens: TokenVerifier, secret: Secret) -> None:
    """From the next poll on, and not before."""
    secret.path.write_text(OTHER)
    assert not tokens.refusal(token(GOOD))
    tokens.poll()
    assert not tokens.refusal(token(GOOD, OTHER))
    assert tokens.refusal(token(GOOD))


def test_without_a_key_no_token_is_valid(
    tokens: TokenVerifier, secret: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so once. Without a key from the start, it says nothing."""
    secret.path.unlink()
    with caplog.at_level(logging.INFO):
        tokens.poll()
        tokens.poll()
    assert [record.msg for record in caplog.records] == ["signing key unreadable"]
    assert "jwt_secret" in tokens.refusal(token(GOOD))
    assert tokens.refusal(token(GOOD, algorithm=None))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("x" * 31, "is shorter than 32 bytes. Write a longer one."),
        (
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n",
            "contains a key of a key pair. Write random text into it.",
        ),
    ],
)
def test_a_weak_key_is_refused(secret: Secret, content: str, problem: str) -> None:
    """A short key can be guessed, and a public key is not secret."""
    secret.path.write_text(content)
    with pytest.raises(SecretError) as caught:
        read_signing_key(secret)
    assert str(caught.value) == f"jwt_secret: {secret.path} {problem}"
