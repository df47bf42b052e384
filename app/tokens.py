"""The tokens by which operators see more than everybody does."""

from app.secrets import Secret, SecretError


# The secret that they are signed with.
SIGNS = "jwt_secret"

# Bytes: HS256 wants a key as long as its hash, https://www.rfc-editor.org/rfc/rfc7518#section-3.2
SHORTEST = 32


def key(secret: Secret) -> str:
    """Read what tokens are signed with.

    Raises:
        SecretError: it can't be read, or it is so short that it might be guessed.

    """
    text = secret.read()
    if len(text.encode()) < SHORTEST:
        msg = f"{secret.name}: {secret.path} is shorter than {SHORTEST} bytes: write a longer one"
        raise SecretError(msg)
    return text
