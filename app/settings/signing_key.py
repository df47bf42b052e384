"""The key that tokens are signed with."""

from app.settings.secret_files import Secret, SecretError


# The secret that tokens are signed with.
SIGNS = "jwt_secret"

# Bytes: HS256 wants a key as long as its hash, https://www.rfc-editor.org/rfc/rfc7518#section-3.2
SHORTEST = 32

ALGORITHM = "HS256"


def key(secret: Secret) -> str:
    """Read what tokens are signed with.

    Raises:
        SecretError: it can't be read, or it is so short that it might be guessed, or public.

    """
    # Imported where there is such a key: beside cryptography it takes a sixth of the start.
    import jwt  # noqa: PLC0415

    text = secret.read()
    if len(text.encode()) < SHORTEST:
        msg = f"{secret.name}: {secret.place} is shorter than {SHORTEST} bytes: write a longer one"
        raise SecretError(msg)
    try:
        jwt.get_algorithm_by_name(ALGORITHM).prepare_key(text)
    except jwt.InvalidKeyError:
        msg = f"{secret.name}: {secret.place} holds a key pair's key: write random text instead"
        raise SecretError(msg) from None
    return text
