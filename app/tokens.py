"""The tokens by which operators see more than everybody does."""

import logging
from collections.abc import Callable

from app.settings.secret_files import Secret, SecretError
from app.settings.signing_key import ALGORITHM, key


SCOPE = "health:read"

# Characters: what is longer is not looked into, however often it comes.
MAX_LENGTH = 2048

logger = logging.getLogger("vitals")


def issue(signing: str, scope: str, expires: float) -> str:
    """Make a token of a scope; it expires at that Unix time."""
    import jwt  # noqa: PLC0415 - as where the key is read

    return jwt.encode({"scope": scope, "exp": int(expires)}, signing, ALGORITHM)


class Tokens:
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
                logger.warning("no token is valid any more", extra={"cause": str(error)})
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
