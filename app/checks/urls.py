"""Validation of the dependencies' URLs. No message contains a part of one."""

import re
from collections.abc import Container, Iterator, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from app.checks.tls import CertificateFileError, TrustStore


WHITESPACE = "contains a space or a line break. Remove it."

# The parser of the settings replaces NAME by the name of the check.
PASSWORD = "a password is not allowed in the URL. Put it in the secret NAME_password."  # noqa: S105 - a message

HIGHEST_PORT = 65535

# The names of the options with the CA file, the client's certificate and the key of that.
TlsNames = tuple[str, str, str]

OPTION = re.compile(r"[A-Za-z](?:[a-z_]|[A-Z](?=[a-z])){0,31}")


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


def ensure_tls_files(query: Mapping[str, str], names: TlsNames) -> None:
    """Raise a ValueError with a line for each option of the URL whose file can't be used."""
    problems = [": ".join(found) for found in find_tls_problems(query, names)]
    ensure(not problems, "\n".join(problems))


def find_tls_problems(options: Mapping[str, str], names: TlsNames) -> Iterator[tuple[str, str]]:
    """Yield the options whose files can't be used for TLS, each with the problem."""
    ca, certificate, key = map(options.get, names)
    if key and not certificate:
        yield names[2], f"needs {names[1]}. Add it, or remove {names[2]}."
    if ca is not None and not _is_usable(TrustStore(ca)):
        yield names[0], "the file can't be used. Mount a PEM file there, or correct the path."
    if certificate is not None and not _is_usable(TrustStore(None, certificate, key, verify=False)):
        where = f"its key in the same file or in that of {names[2]}"
        yield names[1], f"the client certificate can't be used. Mount it as PEM, with {where}."


def _is_usable(trust: TrustStore) -> bool:
    try:
        trust.load()
    except (CertificateFileError, ValueError):  # a path with NUL
        return False
    return True


def split_query(query: str, known: Container[str]) -> list[tuple[str, str]]:
    """Return the options of a query. An empty one is unset. Unlike in a form, a plus is no space.

    Raises:
        ValueError: options are not known. It has a line for each.
    """
    parts = (option.partition("=") for option in query.split("&") if option)
    options = [(unquote(name), unquote(value)) for name, _, value in parts]
    # An option that does not look like one may be a secret, and is not shown.
    unknown = dict.fromkeys(name for name, _ in options if name not in known)
    shown = [f" {name}" if OPTION.fullmatch(name) else "" for name in unknown]
    problems = [f"the query option{name} is not supported. Remove it." for name in shown]
    ensure(not problems, "\n".join(problems))
    return [(name, value) for name, value in options if value]


# A name or a path, an IPv6 address in brackets, or, in the query, one without brackets.
HOST = re.compile(r"(?:\[([^][]+)\]|([^][:]*))(?::(\d*))?|([0-9a-fA-F:.]+)")


def split_hosts(text: str, ports: str | None, default: int, form: str) -> Iterator[tuple[str, int]]:
    """Yield each host with its port, or raise *form* as a ValueError.

    Args:
        ports: one port for all hosts or one for each, which replaces that beside the host.
    """
    hosts = text.split(",")
    listed = (ports or "").split(",")
    numbers = listed * len(hosts) if len(listed) == 1 else listed
    ensure(len(numbers) == len(hosts), "must name one port, or one for each host. Correct it.")
    for host, number in zip(hosts, numbers, strict=True):
        if not (match := HOST.fullmatch(host)):
            raise ValueError(form)
        bracketed, name, port, address = match.groups()
        known = bracketed or name or address
        found = number or port or str(default)
        is_number = re.fullmatch("[0-9]{1,5}", found)
        ensure(known and host.isprintable() and is_number and is_port(int(found)), form)
        yield known, int(found)


def without_query(url: str) -> str:
    """Return a URL without query and fragment. `urlsplit` refuses several hosts with brackets."""
    return re.split("[?#]", url, maxsplit=1)[0]


# A name or an address, which may end with a zone. Several hosts are none.
HOST_NAME = re.compile(r"[\w.:%-]+")


def split_url(text: str, form: str) -> SplitResult:
    """Return the parts of a URL, or raise *form* as a ValueError if its host or port is invalid."""
    try:
        # `urlsplit` removes line breaks, and a space would end the path in a request.
        parts = urlsplit(text if re.fullmatch(r"[!-~]+", text) else "")
        host = parts.hostname or ""
        is_valid = HOST_NAME.fullmatch(host) and host.encode("idna") and parts.port != 0
    except ValueError:
        is_valid = False
    ensure(is_valid, form)
    return parts
