"""Operator tokens, and which clients may see details."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.settings.secrets import ALGORITHM, Secret, SecretError, read_signing_key


SCOPE = "health:read"

# Characters: a longer token is rejected without parsing, so that clients can't keep us busy.
MAX_LENGTH = 2048

INVALID = "is damaged, or signed with another jwt_secret"

logger = logging.getLogger("vitals")


def issue(signing: str, scope: str, expires: float) -> str:
    """Return a token signed with a key. It expires at a Unix time."""
    import jwt  # noqa: PLC0415 - as where the key is read

    return jwt.encode({"scope": scope, "exp": int(expires)}, signing, ALGORITHM)


class TokenVerifier:
    """Verifies tokens with the signing key that the latest poll has read."""

    def __init__(self, find: Callable[[], Secret]) -> None:
        self._find = find
        self._key: str | None = None

    def poll(self) -> None:
        """Read the key again. While it is unreadable, no token is valid."""
        try:
            self._key = read_signing_key(self._find())
        except SecretError as error:
            if self._key is not None:
                logger.warning("signing key unreadable", extra={"cause": str(error)})
            self._key = None

    def refusal(self, token: str) -> str:
        """Return why a token is refused; empty if it is signed, not expired and has the scope."""
        if self._key is None:
            return "can't be verified, because this instance can't read its jwt_secret"
        if len(token) > MAX_LENGTH:
            return INVALID

        import jwt  # noqa: PLC0415 - as where the key is read

        try:
            claims = jwt.decode(token, self._key, [ALGORITHM], {"require": ["exp", "scope"]})
        except jwt.ExpiredSignatureError:
            return "has expired"
        except jwt.InvalidTokenError:
            return INVALID
        scope = claims["scope"]
        has_scope = isinstance(scope, str) and SCOPE in scope.split()
        return "" if has_scope else f"lacks the scope {SCOPE}"


@dataclass(frozen=True, slots=True)
class Access:
    """Decides which clients are operators and which may see details.

    Attributes:
        refuse: returns why a token is refused; empty if it is valid.
    """

    details: Literal["always", "authorized", "never"]
    refuse: Callable[[str], str]
    trust_all_clients: bool = False

    def is_operator(self, authorization: str) -> bool:
        """Return whether a request is an operator's, by its `Authorization`, which may be empty."""
        return self.trust_all_clients or self._has_valid_token(authorization)

    def shows_details(self, authorization: str) -> bool:
        """Return whether the answer to a request shows each check."""
        if self.details == "authorized":
            return self._has_valid_token(authorization)
        return self.details == "always"

    def refusal(self, authorization: str) -> str | None:
        """Return why a token is refused; "" without one, None if one would show no more."""
        sees_all = self.is_operator(authorization) and self.shows_details(authorization)
        if sees_all or self.details == "never":
            return None
        token = _bearer_token(authorization)
        return self.refuse(token) if token else ""

    def _has_valid_token(self, authorization: str) -> bool:
        token = _bearer_token(authorization)
        return bool(token) and not self.refuse(token)


def _bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
