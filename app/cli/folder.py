"""The folder that holds a deployment's secrets, a file each, on the host."""

import contextlib
import os
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from app.settings.secret_files import SECRETS, Secret, SecretError, find, same
from app.settings.secret_text import hints


FOLDER_MODE, FILE_MODE = 0o700, 0o444

# What a directory of secrets may hold besides: this repository's has the first two, an empty one in
# git the third, and a file system of its own the last.
BESIDE = frozenset({"README.md", ".gitignore", ".gitkeep", "lost+found"})
DRAFT = ".new-"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that its owner alone can enter, and files for any container's user."""

    path: Path

    def close(self) -> bool:
        """Create the directory, or restrict it to its owner.

        An empty one counts as one for secrets.

        Returns:
            Whether its mode changed.

        Raises:
            SecretError: others can enter it, and it holds more than secrets, as `/etc` does.

        """
        self.path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        if mode(self.path) == FOLDER_MODE:
            return False
        if self.stranger():
            raise SecretError(*self.exposure())
        self.path.chmod(FOLDER_MODE)
        return True

    def exposure(self) -> Iterator[str]:
        """Yield what is wrong with the directory's mode, with `chmod` only for secrets alone."""
        if not (other := self.stranger()):
            yield from wrong_mode(self.path, FOLDER_MODE)
        elif mode(self.path) != FOLDER_MODE:
            yield (
                f"{self.path.absolute()} has mode {mode(self.path):04o} and holds {other} too: "
                f"use a folder for secrets alone, with mode {FOLDER_MODE:04o}"
            )

    def stranger(self) -> str | None:
        """Return the name of something in the directory that is no secret, if there is any."""
        entries = sorted(self.path.iterdir())
        return next((entry.name for entry in entries if not belongs(entry)), None)

    def make(self, name: str) -> str:
        """Make a secret that is missing, whole or not at all, and tell what was done."""
        file = self.path / f"{name}.txt"
        if not self.files(name):
            with contextlib.suppress(FileExistsError):
                write(file, new(name))
                return f"made {file}"
        if file.is_file() and not file.is_symlink() and mode(file) != FILE_MODE:
            file.chmod(FILE_MODE)
            return f"kept {file}, now with mode {FILE_MODE:04o}"
        return f"kept {' and '.join(map(str, self.files(name)))}"

    def replace(self, name: str) -> Path:
        """Put a new secret into the file that is there.

        Raises:
            SecretError: there is none, or more than one.

        """
        file = find(name, self.path, {}).path
        if not file.is_file():
            msg = f"{name}: {self.path} has no file of it: make it with vitals secrets init"
            raise SecretError(msg)
        overwrite(file, new(name))
        return file

    def problems(self, name: str) -> Iterator[str]:
        """Tell what is wrong with a secret, each with its remedy."""
        files = self.files(name)
        if not files:
            yield f"{self.path}/{name}.txt is missing: make it with vitals secrets init"
        if len(files) > 1 and not same(*files):
            yield f"{files[0]} and {files[1]} both offer it: keep one"
        for file in files:
            yield from flaws(Secret(name, file))

    def hints(self, name: str) -> Iterator[str]:
        """Return what may be wrong with the content of a secret's file."""
        for file in self.files(name):
            with contextlib.suppress(SecretError):
                yield from (f"{file} {hint}" for hint in hints(Secret(name, file).read()))

    def files(self, name: str) -> list[Path]:
        """Find what lies where a secret may lie, also a link that leads nowhere."""
        paths = (self.path / name, self.path / f"{name}.txt")
        return [path for path in paths if os.path.lexists(path)]


def belongs(entry: Path) -> bool:
    """Return whether something lies rightly in a directory of secrets, also while one is made."""
    if entry.name in BESIDE or entry.name.startswith(DRAFT):
        return True
    return entry.name.removesuffix(".txt") in SECRETS and not entry.is_dir()


def new(name: str) -> str:
    """Make up a secret that needs no quotes in a URL or a shell; of a user, a plain name."""
    return f"minio-{secrets.token_hex(4)}" if name == "minio_user" else secrets.token_urlsafe(32)


def write(file: Path, value: str) -> None:
    """Make a file whose name appears when all is in it, unless there is one: FileExistsError."""
    with TemporaryDirectory(dir=file.parent, prefix=DRAFT) as place:
        draft = Path(place, file.name)
        with draft.open("xb") as content:
            fill(content, value)
        draft.chmod(FILE_MODE)
        # Unlike a rename, it replaces nothing.
        file.hardlink_to(draft)


def overwrite(file: Path, value: str) -> None:
    """Replace the content and keep the inode, which is what a container has mounted.

    A reader finds the old secret, nothing, or the new one, and no mixture: the file is emptied,
    and grows when all of the one write is in. Vitals takes an empty file for one that can't be
    read, and tries again.
    """
    file.chmod(FILE_MODE | stat.S_IWUSR)
    try:
        content = file.open("r+b")
    finally:
        file.chmod(FILE_MODE)
    with content:
        content.truncate()
        fill(content, value)


def fill(content: IO[bytes], value: str) -> None:
    """Write a secret to the disk, in one piece."""
    content.write(value.encode())
    content.flush()
    os.fsync(content.fileno())


def flaws(secret: Secret) -> Iterator[str]:
    """Tell what is wrong with one file."""
    file = secret.path
    if not file.exists():
        yield f"{file} leads nowhere: remove the link, or make what it names"
        return
    try:
        secret.read()
    except SecretError as error:
        yield str(error).removeprefix(f"{secret.name}: ")
    else:
        yield from wrong_mode(file, FILE_MODE)
    if tracked(file):
        yield f"{file} is in git: git rm --cached it, then vitals secrets rotate {secret.name}"


def tracked(file: Path) -> bool:
    """Whether git keeps the file, as far as git is there to be asked."""
    if not (git := shutil.which("git")):
        return False
    command = (git, "-C", file.parent, "ls-files", "--error-unmatch", "--", file.name)
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # no shell
    return done.returncode == 0


def wrong_mode(path: Path, right: int) -> Iterator[str]:
    """Tell what is wrong with the permissions."""
    if (found := mode(path)) != right:
        yield f"{path} has mode {found:04o}: chmod {right:04o} it"


def mode(path: Path) -> int:
    """Tell the permissions."""
    return stat.S_IMODE(path.stat().st_mode)
