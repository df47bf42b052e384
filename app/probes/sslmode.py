"""How libpq reads `sslmode`: the ways to connect to a PostgreSQL, with TLS and without."""

import ssl
from pathlib import Path


Security = ssl.SSLContext | str | bool


def securities(mode: str, root: str | None) -> list[Security]:
    """Read `sslmode` and `sslrootcert` as libpq does: the ways to connect, in their order.

    Without a root file the system's authorities speak.

    https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
    """
    if mode == "disable":
        return [False]
    if mode.startswith("verify-") or (mode == "require" and root):
        context = ssl.create_default_context(cafile=root)
        context.check_hostname = mode == "verify-full"
        return [context]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if mode == "require":
        return [context]
    # asyncpg knows the other two, but looks for files in the home, which may be closed to it.
    try:
        Path.home().joinpath(".postgresql").stat()
    except PermissionError:
        return [context, False] if mode == "prefer" else [False, context]
    except (OSError, RuntimeError):
        return [mode]
    return [mode]


def wants_another(error: BaseException) -> bool:
    """Whether a server may accept with TLS what it refuses without, or the other way round."""
    refused = type(error) is ConnectionError or isinstance(error, ssl.SSLError)
    return refused or getattr(error, "sqlstate", "") == "28000"
