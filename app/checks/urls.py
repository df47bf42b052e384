"""Validation of the dependencies' URLs. No message contains a part of one."""

import re
from urllib.parse import SplitResult, urlsplit

from app.checks.tls import CaCertificateError, TrustStore


WHITESPACE = "contains a space or a line break. Remove it."

# The parser of the settings replaces NAME by the name of the check.
PASSWORD = "a password is not allowed in the URL. Put it in the secret NAME_password."  # noqa: S105 - a message

HIGHEST_PORT = 65535


def ensure(condition: object, problem: str) -> None:
    """Raise a ValueError with the problem unless the condition is true."""
    if not condition:
        raise ValueError(problem)


def is_plain(text: str) -> bool:
    """Return whether every character is visible: some parsers remove others, and some keep them."""
    return text.isprintable() and " " not in text


def is_port(port: int | None) -> bool:
    """Return whether a port is valid or missing."""
    return port is None or 0 < port <= HIGHEST_PORT


def ensure_ca_file(path: str | None, name: str) -> None:
    """Raise a ValueError unless the CA file of the URL's option *name* is usable or missing."""
    if path is None:
        return
    try:
        TrustStore(path).load()
    except CaCertificateError:
        raise ValueError(
            f"the file of {name} can't be used. Mount a PEM file there, or correct the path."
        ) from None


def split_url(text: str, form: str) -> SplitResult:
    """Return the parts of a URL, or raise *form* as a ValueError if its host or port is invalid."""
    try:
        # `urlsplit` removes line breaks, and a space would end the path in a request.
        parts = urlsplit(text if re.fullmatch(r"[!-~]+", text) else "")
        host = parts.hostname and parts.hostname.encode("idna")
        is_valid = host and parts.port != 0
    except ValueError:
        is_valid = False
    ensure(is_valid, form)
    return parts
