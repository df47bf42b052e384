"""What an error on the way to any server means, in a word of the closed list."""

import errno
import socket
import ssl
from collections.abc import Callable, Mapping

from app.health import Reason


# How Redis refuses a password that it does not want: since version 6, and before.
UNWANTED = (
    "AUTH <password> called without any password configured",
    "Client sent AUTH, but no password is set",
)


class CredentialError(Exception):
    """The password could not be read where it is kept."""


class ProtocolError(Exception):
    """A dependency sent what its protocol does not allow there, or more than it needs."""


UNREACHABLE = frozenset(
    {
        errno.EADDRNOTAVAIL,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
    }
)

ON_THE_WAY: Mapping[type[BaseException], Reason] = {
    socket.gaierror: Reason.DNS,
    ssl.SSLError: Reason.TLS,
    ConnectionRefusedError: Reason.REFUSED,
    FileNotFoundError: Reason.REFUSED,  # the Unix socket of a server that does not run
    PermissionError: Reason.DENIED,
    ConnectionError: Reason.DISCONNECTED,
    EOFError: Reason.DISCONNECTED,
    CredentialError: Reason.AUTH,
    ProtocolError: Reason.PROTOCOL,
}


def by_class(
    reasons: Mapping[type[BaseException], Reason], error: BaseException | None
) -> Reason | None:
    """Find the reason of an error's class, or of the nearest class that it descends from."""
    return next((reasons[kind] for kind in type(error).__mro__ if kind in reasons), None)


def on_the_way(error: BaseException | None) -> Reason:
    """Explain what the operating system, a resolver or TLS raised."""
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return Reason.UNREACHABLE
    return by_class(ON_THE_WAY, error) or Reason.ERROR


def unwanted(error: BaseException) -> bool:
    """Return whether the server refused a password because it has none."""
    return str(error).removeprefix("ERR ").startswith(UNWANTED)


def credential(read: Callable[[], str]) -> str:
    """Read a password where it is kept.

    Raises:
        CredentialError: it could not be read, whatever the reason.

    """
    try:
        return read()
    except Exception as error:
        raise CredentialError(error) from error
