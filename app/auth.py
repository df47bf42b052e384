"""Who sees what."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.settings.secrets import ALGORITHM, Secret, SecretError, key


SCOPE = "health:read"

# Characters: what is longer is not looked into, however often it comes.
MAX_LENGTH = 2048

logger = logging.getLogger("vitals")


def issue(signing: str, scope: str, expires: float) -> str:
    """Make a token of a scope; it expires at that Unix time."""
    import jwt  # noqa: PLC0415 - as where the key is read

    return jwt.encode({"scope": scope, "exp": int(expires)}, signing, ALGORITHM)


class TokenVerifier:
    """Judges tokens by the key that its file holds, as it was when last looked at.

    Args:
        find: finds the file, anew each time.

    """

    def __init__(self, find: Callable[[], Secret]) -> None:
        self._find = find
        self._key: str | None = None

    def look(self) -> None:
        """Read the key again; while it can't be read no token is valid."""
        try:
            self._key = key(self._find())
        except SecretError as error:
            if self._key is not None:
                logger.warning("signing key unreadable", extra={"cause": str(error)})
            self._key = None

    def valid(self, token: str) -> bool:
        """Whether an operator holds it: signed, unexpired, and of the scope that reads health."""
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
    """Who sees more than a code and a status.

    Attributes:
        details: who sees each check.
        valid: whether a token is an operator's.
        everybody: whether everybody is an operator.

    """

    details: Literal["always", "authorized", "never"]
    valid: Callable[[str], bool]
    trust_all_clients: bool = False

    def operator(self, authorization: str) -> bool:
        """Whether an operator asks, by the `Authorization` of the request, which may be empty."""
        return self.trust_all_clients or self._authorized(authorization)

    def shows(self, authorization: str) -> bool:
        """Whether each check is shown to whoever asks so."""
        if self.details == "authorized":
            return self._authorized(authorization)
        return self.details == "always"

    def _authorized(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.valid(token.strip())
