"""The secrets and the files that hold them."""

import contextlib
import os
import re
import stat
from base64 import b64decode
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.settings.redaction import redact, sensitive_parts


BOM = "\ufeff"
QUOTES = {'""', "''", "``", "\u201c\u201d", "\u2018\u2019"}
WHITESPACE = "begins or ends with a space or a line break, which is part of the secret. Remove it."

# How a certificate or a key begins.
PEM = "-----BEGIN "

# A line of an environment file. A name is shorter than this.
ASSIGNMENT = re.compile(
    r"(?i)(?:export\s+)?[a-z0-9_.-]*(?:password|passwd|secret|token|key|user)[a-z0-9_.-]*\s*[=:]\s*\S"
)
LONGEST_NAME = 100

# A shorter text may be valid base64 by chance.
SHORTEST_BASE64 = 12


def describe_undecodable(data: bytes) -> str:
    """Return what is wrong with a file that is not UTF-8, with the remedy."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "is not UTF-8, but probably UTF-16. Save it as UTF-8."
    return "is not UTF-8. Save it as UTF-8."


def find_hints(text: str) -> Iterator[str]:
    """Yield what may be wrong with a secret. Each hint follows the name of the file."""
    if text.startswith(BOM):
        yield "begins with a byte order mark. Save it as UTF-8 without one."
    text = text.removeprefix(BOM)
    core = text.strip()
    if "\0" in text:
        yield "contains NUL characters, as UTF-16 does. Save it as UTF-8."
    elif not "".join(text.split()).isprintable():
        yield "contains a character that is not printable. Remove it."
    if core != text:
        yield WHITESPACE
    if len(core.splitlines()) > 1 and not core.startswith(PEM):
        yield "has more than one line. Keep the line with the secret."
    if is_quoted(core):
        yield "is in quotes, which are part of the secret. Remove them."
    if ASSIGNMENT.match(core[:LONGEST_NAME]):
        yield "looks like NAME=value. Keep only the value."
    if _is_encoded_text(core):
        yield "looks like a text in base64. Write the decoded text."


def is_quoted(text: str) -> bool:
    """Return whether quotes enclose a text."""
    return len(text) > 1 and text[0] + text[-1] in QUOTES


def _is_encoded_text(core: str) -> bool:
    """Return whether it is the base64 of a text. The base64 of random bytes is a good secret."""
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

# The URLs to which requests go if the secret exists.
NOTIFY_URL, HEARTBEAT_URL = OPTIONAL_SECRETS = "notify_url", "heartbeat_url"

# A larger file is a mistake, and may have any size.
MAX_BYTES = 64 * 1024

REMEDY = "Set its mode to 0444, and that of its folder to 0700."


class SecretError(Exception):
    """A secret that can't be used. The message names the secret, its file and the remedy."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's name and the file that holds it.

    Attributes:
        variable: the environment variable that names the file, or "".
    """

    name: str
    path: Path
    variable: str = ""

    @property
    def place(self) -> str:
        """The file for a message, with the variable that names it, if there is one."""
        return f"{self.path} ({self.variable})" if self.variable else str(self.path)

    @property
    def exists(self) -> bool:
        """Whether there is such a file. False if its folder can't be entered."""
        # Unlike the method of the path, this is false if the folder can't be entered.
        return os.path.exists(self.path)  # noqa: PTH110

    @property
    def is_used(self) -> bool:
        """Whether an optional secret is used: there is such a file, or a variable names one."""
        return self.exists or bool(self.variable)

    def read(self) -> str:
        """Read the secret, without the one newline that editors leave at the end.

        Raises:
            SecretError: there is no such file, or its content can't be used.
        """
        try:
            return read_text(self.path, MAX_BYTES, "the secret")
        except FileError as error:
            raise SecretError(f"{self.name}: {self.place} {error}") from None


class FileError(Exception):
    """A file can't be used. The message follows the file's path, and has the remedy."""


def read_text(path: Path, max_bytes: int, content: str) -> str:
    """Read a text file without the one newline that editors leave at the end.

    Args:
        max_bytes: the size of the largest file that is accepted.
        content: what the file should hold, for the message.

    Raises:
        FileError: there is no such file, or its content can't be used.
    """
    try:
        return _read_text(path, max_bytes, content)
    except FileNotFoundError:
        msg = f"is missing. Write {content} into it, or mount it."
    except PermissionError:
        msg = _describe_denied(path)
    except UnicodeDecodeError as error:
        msg = describe_undecodable(error.object)
    except OSError as error:
        msg = f"can't be read ({error.strerror}). Mount a file there."
    raise FileError(msg)


def _read_text(path: Path, max_bytes: int, content: str) -> str:
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileError("is not a file. Replace it with a file.")
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        most = f"{max_bytes >> 20} MB" if max_bytes >> 20 else f"{max_bytes >> 10} KB"
        raise FileError(f"holds more than {most}. Write only {content} into it.")
    text = data.decode().removesuffix("\n").removesuffix("\r")
    if not text:
        raise FileError(f"is empty. Write {content} into it.")
    return text


def _describe_denied(path: Path) -> str:
    reader = f"can't be read by uid {os.geteuid()}"
    try:
        found = path.stat()
    except OSError:
        # The mode 0700 helps the owner of the folder only, who may be another user.
        return f"{reader} (its folder can't be entered). Let uid {os.geteuid()} enter the folder."
    return f"{reader} (owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}). {REMEDY}"


def find_secret(name: str, folder: Path, environ: Mapping[str, str]) -> Secret:
    """Return the file of a secret: the variable `NAME_FILE`, or `NAME` or `NAME.txt` in the folder.

    Raises:
        SecretError: there is more than one file, or the value itself is in the environment.
    """
    if environ.get(name.upper()):
        raise SecretError(
            f"{name.upper()}: a secret is not allowed in the environment. Unset it, and use a file "
            "instead."
        )
    variable = f"{name.upper()}_FILE"
    named = environ.get(variable, "")
    if not named.isprintable():
        raise SecretError(
            f"{name}: {variable} contains a character that is not printable. Remove it."
        )
    if is_quoted(named):
        raise SecretError(
            f"{name}: {variable} is in quotes, which are part of the value. Remove them."
        )
    usual = [Secret(name, folder / name), Secret(name, folder / f"{name}.txt")]
    candidates = [Secret(name, Path(named), variable)] if named else []
    candidates += [one for one in usual if one.exists]
    candidates = candidates or usual[:1]
    if any(not is_same_file(candidates[0].path, other.path) for other in candidates[1:]):
        places = " and ".join(one.place for one in candidates)
        raise SecretError(f"{name}: {places} both offer it. Keep one.")
    return candidates[0]


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file. Compare the paths if a folder is closed."""
    try:
        return one.samefile(other)
    except OSError:
        return one == other


class SecretStore:
    """Reads secrets, and redacts every secret that it has read.

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
        values = tuple(self._values.values())
        return redact(text, (part for value in values for part in sensitive_parts(value)))


# The key that signs tokens.
SIGNING_KEY = "jwt_secret"

# Bytes: HS256 needs a key as long as its hash, https://www.rfc-editor.org/rfc/rfc7518#section-3.2
MIN_KEY_BYTES = 32

ALGORITHM = "HS256"


def read_signing_key(secret: Secret) -> str:
    """Read the key that signs tokens.

    Raises:
        SecretError: it can't be read, is short enough to be guessed, or is a public or private key.
    """
    text = secret.read()
    # Imported only if there is a key: with cryptography it takes a sixth of the startup time.
    import jwt  # noqa: PLC0415

    if len(text.encode()) < MIN_KEY_BYTES:
        problem = f"is shorter than {MIN_KEY_BYTES} bytes. Write a longer one."
        raise SecretError(f"{secret.name}: {secret.place} {problem}")
    try:
        jwt.get_algorithm_by_name(ALGORITHM).prepare_key(text)
    except jwt.InvalidKeyError:
        problem = "contains a key of a key pair. Write random text into it."
        raise SecretError(f"{secret.name}: {secret.place} {problem}") from None
    return text
