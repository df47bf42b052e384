"""What a setting may not hold, whatever it is for."""

import contextlib
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo


NAME = re.compile(r"[\w.-]+")


def unix(value: Any, info: ValidationInfo) -> Any:
    """Return a value as it is, unless a file with the line ends of Windows has left one in it."""
    # JSON may have them between its members.
    if isinstance(value, str) and "\r" in value and info.field_name != "http_checks":
        msg = "holds a carriage return: save the file that sets it with the line ends of Unix (LF)"
        raise ValueError(msg)
    return value


def host(text: str) -> str:
    """Return an address in its usual form, or a name as it is; it need not be known here."""
    with contextlib.suppress(ValueError):
        return str(ip_address(text))
    if not NAME.fullmatch(text):
        msg = "must be a name, or an IP address without brackets and port: correct it, or unset it"
        raise ValueError(msg)
    return text


def path(value: Path) -> Path:
    """Return a path as it is, if all of it can be seen."""
    if not str(value).isprintable():
        msg = "holds a character that is not printable: remove it"
        raise ValueError(msg)
    return value
