"""The tokens by which operators see more than everybody does."""

import logging
from collections.abc import Callable

import jwt

from app.secrets import Secret, SecretError


# The secret that they are signed with.
SIGNS = "jwt_secret"

# Bytes: HS256 wants a key as long as its hash, https://www.rfc-editor.org/rfc/rfc7518#section-3.2
SHORTEST = 32

ALGORITHM = "HS256"
SCOPE = "health:read"

# Characters: what is longer is not looked into, however often it comes.
LONGEST = 2048

logger = logging.getLogger("vitals")


def key(secret: Secret) -> str:
    """Read what tokens are signed with.

    Raises:
        SecretError: it can't be read, or it is so short that it might be guessed, or public.

    """
    text = secret.read()
    if len(text.encode()) < SHORTEST:
        msg = f"{secret.name}: {secret.path} is shorter than {SHORTEST} bytes: write a longer one"
        raise SecretError(msg)
    try:
        jwt.get_algorithm_by_name(ALGORITHM).prepare_key(text)
    except jwt.InvalidKeyError:
        msg = f"{secret.name}: {secret.path} holds a key pair's key: write random text instead"
        raise SecretError(msg) from None
    return text


def issue(signing: str, scope: str, expires: float) -> str:
    """Make a token of a scope; it expires at that Unix time."""
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
        if self._key is None or len(token) > LONGEST:
            return False
        try:
            claims = jwt.decode(token, self._key, [ALGORITHM], {"require": ["exp", "scope"]})
        except jwt.InvalidTokenError:
            return False
        scope = claims["scope"]
        return isinstance(scope, str) and SCOPE in scope.split()
