"""`vitals secrets`: makes, judges and rotates the files that hold the secrets."""

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
from typing import IO, Annotated

import typer

from app.settings.secrets import SECRETS, Secret, SecretError, find, hints, same


FOLDER_MODE, FILE_MODE = 0o700, 0o444

# What a directory of secrets may hold besides: this repository's has the first two, an empty one in
# git the third, and a file system of its own the last.
BESIDE = frozenset({"README.md", ".gitignore", ".gitkeep", "lost+found"})
DRAFT = ".new-"


@dataclass(frozen=True, slots=True)
class SecretsDirectory:
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


# What else must happen before a new secret opens anything.
NEXT = {
    "postgres_password": "tell PostgreSQL, with psql's \\password: it reads no file again",
    "redis_password": "tell Redis: ACL SETUSER ... >PASSWORD, or restart it",
    "jwt_secret": "make new tokens: the old ones are void within a second or two",
    "stack_auth_secret": "have the services that ask for it accept it",
    "minio_user": "restart MinIO",
    "minio_password": "restart MinIO",
}

HERE = Path("secrets")
Where = Annotated[
    Path,
    typer.Option("--dir", metavar="DIR", readable=False, help="The folder of the files."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(SECRETS)}.")]


def init(where: Where = HERE) -> None:
    """Make the files that are missing.

    What is there keeps its content. The folder gets mode 0700 and the files 0444: the user of any
    container can read them, and no other user of this machine can reach them. A folder that others
    can enter and that holds more than secrets is refused, and stays as it is.
    """
    folder = SecretsDirectory(where)
    with in_one_line(where):
        closed = folder.close()
        for name in SECRETS:
            typer.echo(f"{name}: {folder.make(name)}")
        if closed:
            typer.echo(f"folder: {where} now has mode {FOLDER_MODE:04o}")


def check(where: Where = HERE) -> None:
    """Judge each file, and tell what mends it.

    Exits with 1 if anything is wrong; what only looks wrong, such as quotes, may be meant.
    """
    with in_one_line(where):
        enter(where)
        problems = {name: list(SecretsDirectory(where).problems(name)) for name in SECRETS}
        problems["folder"] = list(SecretsDirectory(where).exposure())
        hints = {name: list(SecretsDirectory(where).hints(name)) for name in SECRETS}
    for name, lines in problems.items():
        words = ["; ".join(lines) or "ok", *hints.get(name, ())]
        typer.echo(f"{name}: {', but '.join(words)}")
    raise typer.Exit(1 if any(problems.values()) else 0)


def rotate(name: Name, where: Where = HERE) -> None:
    """Put a new secret into its file, in place.

    So a container that has the file mounted sees it. The store must be told too.
    """
    if name not in SECRETS:
        msg = f"{name!r} is not a secret: name one of {', '.join(SECRETS)}"
        raise typer.BadParameter(msg)
    with in_one_line(where):
        enter(where)
        file = SecretsDirectory(where).replace(name)
    typer.echo(f"{name}: {file} holds a new one; next, {NEXT[name]}")


def enter(where: Path) -> None:
    """See that the folder is there and can be looked into.

    Raises:
        SecretError: it is not, or it can't.

    """
    if not where.is_dir():
        msg = f"{where} is not a folder: make it with vitals secrets init"
        raise SecretError(msg)
    if not os.access(where, os.R_OK | os.X_OK):
        msg = f"{where} can't be entered by uid {os.geteuid()}: try as its owner"
        raise SecretError(msg)


@contextlib.contextmanager
def in_one_line(where: Path) -> Iterator[None]:
    """Tell in one line what can't be done."""
    try:
        yield
    except SecretError as error:
        raise typer.TyperException(str(error)) from None
    except OSError as error:
        msg = f"{error.filename or where}: {error.strerror}"
        raise typer.TyperException(msg) from None


COMMANDS = (init, check, rotate)
