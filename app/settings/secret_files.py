"""Secrets: files, read anew whenever they are needed, and never told."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.settings.secret_text import undecodable


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
