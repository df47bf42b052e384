"""The key that tokens are signed with."""

import contextlib
import os
import re
import stat
from base64 import b64decode
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.settings.redaction import redact


BOM = "\ufeff"
QUOTES = {'""', "''", "``", "\u201c\u201d", "\u2018\u2019"}
BLANK = "begins or ends with a blank or a line break, which is part of it: remove it"

# As a line of an environment file reads; names are shorter than this.
ASSIGNMENT = re.compile(
    r"(?i)(?:export\s+)?[a-z0-9_.-]*(?:password|passwd|secret|token|key|user)[a-z0-9_.-]*\s*[=:]\s*\S"
)
LONGEST_NAME = 100

# A shorter text may decode to another one by chance.
SHORTEST_BASE64 = 12


def hints(text: str) -> list[str]:
    """Return what may be wrong with a secret, a phrase each that its file's name goes before."""
    return list(_hints(text))


def undecodable(data: bytes) -> str:
    """Return what is wrong with a file that is not UTF-8, with the remedy."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "is not UTF-8, but looks like UTF-16: save it as UTF-8"
    return "is not UTF-8: write it again as text"


def _hints(text: str) -> Iterator[str]:
    if text.startswith(BOM):
        yield "begins with a byte order mark: save it as UTF-8 without one"
    text = text.removeprefix(BOM)
    core = text.strip()
    if "\0" in text:
        yield "holds NUL characters, as UTF-16 does: save it as UTF-8"
    elif not "".join(text.split()).isprintable():
        yield "holds a character that is not printable: write it again"
    if core != text:
        yield BLANK
    if len(core.splitlines()) > 1:
        yield "has more than one line: keep the one that is meant"
    if len(core) > 1 and core[0] + core[-1] in QUOTES:
        yield "stands in quotes, which are part of it: remove them"
    if ASSIGNMENT.match(core[:LONGEST_NAME]):
        yield "reads like NAME=value: keep the value alone"
    if _is_encoded_text(core):
        yield "looks like a text in base64: write that text itself"


def _is_encoded_text(core: str) -> bool:
    """Return whether base64 of a text stands there; that of random bytes is as good as any."""
    if len(core) < SHORTEST_BASE64:
        return False
    with contextlib.suppress(ValueError):
        return b64decode(core, validate=True).decode("ascii").strip().isprintable()
    return False


SECRETS = (
    "postgres_password",
    "redis_password",
    "jwt_secret",
    "stack_auth_secret",
    "minio_user",
    "minio_password",
)

# A longer file is there by mistake, and may have any size.
MAX_BYTES = 64 * 1024

REMEDY = "chmod 0444 it and keep its folder 0700"


class SecretError(Exception):
    """One line that names the secret, its file and the remedy, and never its content."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's name and the file that holds it.

    Attributes:
        variable: the name of the one that named the file; empty if none did.

    """

    name: str
    path: Path
    variable: str = ""

    @property
    def place(self) -> str:
        """The file as messages name it: with the variable that has to change, if there is one."""
        return f"{self.path} ({self.variable})" if self.variable else str(self.path)

    def read(self) -> str:
        """Read the secret, without the one newline that editors leave at the end.

        Raises:
            SecretError: there is no such file, or nothing that could be used is in it.

        """
        try:
            return self._text()
        except FileNotFoundError:
            problem = "is missing: write the secret into it, or mount it"
        except PermissionError:
            problem = f"can't be read by uid {os.geteuid()} ({self._facts()}): {REMEDY}"
        except UnicodeDecodeError as error:
            problem = undecodable(error.object)
        except OSError as error:
            problem = f"can't be read ({error.strerror}): mount a file there"
        msg = f"{self.name}: {self.place} {problem}"
        raise SecretError(msg)

    def _text(self) -> str:
        if not stat.S_ISREG(self.path.stat().st_mode):
            msg = f"{self.name}: {self.place} is not a file: remove it and put a file in its place"
            raise SecretError(msg)
        with self.path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            most = f"{MAX_BYTES // 1024} KB"
            msg = (
                f"{self.name}: {self.place} holds more than {most}: write the secret alone into it"
            )
            raise SecretError(msg)
        text = content.decode().removesuffix("\n").removesuffix("\r")
        if not text:
            msg = f"{self.name}: {self.place} is empty: write the secret into it"
            raise SecretError(msg)
        return text

    def _facts(self) -> str:
        try:
            found = self.path.stat()
        except OSError:
            return "its folder can't be entered"
        return f"owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"


def find(name: str, folder: Path, environ: Mapping[str, str]) -> Secret:
    """Find the one file of a secret: `NAME_FILE`, or `NAME` or `NAME.txt` in the folder.

    Raises:
        SecretError: more than one file is offered, or the value itself is in the environment.

    """
    if environ.get(name.upper()):
        msg = f"{name.upper()}: a secret has no place in the environment: unset it, use a file"
        raise SecretError(msg)
    variable = f"{name.upper()}_FILE"
    named = environ.get(variable, "")
    if not named.isprintable():
        msg = f"{name}: {variable} holds a character that is not printable: write the path again"
        raise SecretError(msg)
    found = [path for path in (folder / name, folder / f"{name}.txt") if seen(path)]
    offered = [Secret(name, path) for path in found or ([] if named else [folder / name])]
    if named:
        offered.insert(0, Secret(name, Path(named), variable))
    if any(not same(offered[0].path, other.path) for other in offered[1:]):
        places = " and ".join(one.place for one in offered)
        msg = f"{name}: {places} both offer it: keep one"
        raise SecretError(msg)
    return offered[0]


def seen(path: Path) -> bool:
    """Whether there is a file, as far as can be seen."""
    try:
        return path.exists()
    except OSError:
        return False


def same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, as far as can be seen."""
    try:
        return one.samefile(other)
    except OSError:
        return one == other


class SecretStore:
    """Reads secrets, and removes those that were read from texts.

    A secret that was never read was never sent, so no error can quote it. Texts are compared with
    the value that was read last: the file may have been replaced, or lie on a share that hangs.

    Args:
        read: reads the secret of a name from its file.

    """

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._values: dict[str, str] = {}

    def read(self, name: str) -> str:
        """Read a secret, and remember it for `redact`.

        Raises:
            SecretError: it can't be read.

        """
        value = self._values[name] = self._read(name)
        return value

    def redact(self, text: str) -> str:
        """Return a text without credentials and without the secrets that were read."""
        return redact(text, tuple(self._values.values()))


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
