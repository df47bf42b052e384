"""Secrets: files, read anew whenever they are needed, and never told."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


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
    """A secret's name and the file that holds it."""

    name: str
    path: Path

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
        except UnicodeDecodeError:
            problem = "is not UTF-8: write it again as text"
        except OSError as error:
            problem = f"can't be read ({error.strerror}): mount a file there"
        msg = f"{self.name}: {self.path} {problem}"
        raise SecretError(msg)

    def _text(self) -> str:
        if not stat.S_ISREG(self.path.stat().st_mode):
            msg = f"{self.name}: {self.path} is not a file: remove it and put a file in its place"
            raise SecretError(msg)
        with self.path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            most = f"{MAX_BYTES // 1024} KB"
            msg = f"{self.name}: {self.path} holds more than {most}: write the secret alone into it"
            raise SecretError(msg)
        text = content.decode().removesuffix("\n").removesuffix("\r")
        if not text:
            msg = f"{self.name}: {self.path} is empty: write the secret into it"
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
    named = environ.get(f"{name.upper()}_FILE")
    found = [path for path in (folder / name, folder / f"{name}.txt") if seen(path)]
    paths = [Path(named), *found] if named else found or [folder / name]
    if any(not same(paths[0], other) for other in paths[1:]):
        msg = f"{name}: {' and '.join(map(str, paths))} both offer it: keep one"
        raise SecretError(msg)
    return Secret(name, paths[0])


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
