"""The exceptions that several kinds of check raise."""

import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar


T = TypeVar("T")

# How Redis refuses a password that it does not want: since version 6, and before.
UNWANTED = (
    "AUTH <password> called without any password configured",
    "Client sent AUTH, but no password is set",
)


class CredentialError(Exception):
    """The password could not be read where it is kept."""


class ProtocolError(Exception):
    """A dependency sent what its protocol does not allow there, or more than it needs."""


class TlsAnswerError(ProtocolError):
    """A dependency answers with TLS where plain text is expected."""


class PlainAnswerError(ssl.SSLError):
    """A dependency answers in plain text, or that it has no TLS, where TLS is expected."""

    def __init__(self, text: str) -> None:
        super().__init__(0, text)


class UnansweredError(EOFError):
    """A dependency closed a connection in plain text before it sent anything.

    So do most servers that expect TLS.
    """


# Noted in the error of a deadline that passes meanwhile; so does a server that speaks plain text.
UNANSWERED_HANDSHAKE = "the server has not answered the TLS handshake"


def lookup_by_class(
    known: Mapping[type[BaseException], T], error: BaseException | None
) -> T | None:
    """Return what is known of an error's class, or of the nearest class that it descends from."""
    return next((known[kind] for kind in type(error).__mro__ if kind in known), None)


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
