"""Operator tokens, and which clients may see details."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.settings.secrets import ALGORITHM, Secret, SecretError, read_signing_key


SCOPE = "health:read"

# Characters: a longer token is rejected without parsing, so that clients can't keep us busy.
MAX_LENGTH = 2048

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

    def is_valid(self, token: str) -> bool:
        """Return whether a token is signed, has not expired and has the scope `health:read`."""
        if self._key is None or len(token) > MAX_LENGTH:
            return False

        import jwt  # noqa: PLC0415 - as where the key is read

        try:
            claims = jwt.decode(token, self._key, [ALGORITHM], {"require": ["exp", "scope"]})
        except jwt.InvalidTokenError:
            return False
        scope = claims["scope"]
        return isinstance(scope, str) and SCOPE in scope.split()


@dataclass(frozen=True, slots=True)
class Access:
    """Decides which clients are operators and which may see details."""

    details: Literal["always", "authorized", "never"]
    is_valid_token: Callable[[str], bool]
    trust_all_clients: bool = False

    def is_operator(self, authorization: str) -> bool:
        """Return whether a request is an operator's, by its `Authorization`, which may be empty."""
        return self.trust_all_clients or self._has_valid_token(authorization)

    def shows_details(self, authorization: str) -> bool:
        """Return whether the answer to a request shows each check."""
        if self.details == "authorized":
            return self._has_valid_token(authorization)
        return self.details == "always"

    def _has_valid_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.is_valid_token(token.strip())
