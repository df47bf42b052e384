"""The exceptions that more than one kind of check raises."""

import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar


T = TypeVar("T")

# Redis's replies to AUTH if it has no password: since version 6, and before.
PASSWORD_UNWANTED = (
    "AUTH <password> called without any password configured",
    "Client sent AUTH, but no password is set",
)

# Added as a note to the TimeoutError. A server that expects plain text stays silent like this.
UNANSWERED_HANDSHAKE = "the server has not answered the TLS handshake"


# Added as a note if a Sentinel, not the primary, refuses the password or asks for one.
SENTINEL_REFUSES = "the Sentinel refuses the login"

# The text of the error if a condition is more than a query.
CONDITION_WRITES = "the condition writes or locks, in a read-only transaction"

# Added as a note to the refusal of a connection without TLS.
PLAIN_TEXT_REFUSED = "the URL asks for a connection without TLS"


class CredentialError(Exception):
    """A credential can't be read or can't be sent."""


class ProtocolError(Exception):
    """A dependency sent something that its protocol does not allow, or too much."""


class TlsAnswerError(ProtocolError):
    """A dependency answered with TLS where plain text was expected."""


class PlainAnswerError(ssl.SSLError):
    """A dependency answered in plain text, or refused TLS, where TLS was expected."""

    def __init__(self, text: str) -> None:
        super().__init__(0, text)


class ClientCertificateError(ssl.SSLError):
    """A server requires a client certificate, or rejects the one that it got."""


class UnansweredError(EOFError):
    """A dependency closed a plain-text connection before it sent anything.

    Most servers that expect TLS do this.
    """


def lookup_by_class(
    known: Mapping[type[BaseException], T], error: BaseException | None
) -> T | None:
    """Return the value for the class of *error*, or for its nearest base class in *known*."""
    return next((known[kind] for kind in type(error).__mro__ if kind in known), None)


def is_password_unwanted(error: BaseException) -> bool:
    """Return whether a Redis refused the password because it has none."""
    return str(error).removeprefix("ERR ").startswith(PASSWORD_UNWANTED)


def read_credential(read: Callable[[], T]) -> T:
    """Return what *read* returns.

    Raises:
        CredentialError: *read* failed, for any reason.
    """
    try:
        return read()
    except Exception as error:
        raise CredentialError(error) from error
