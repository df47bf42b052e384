"""`vitals secrets`: create, check and rotate the secret files."""

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex, token_urlsafe
from tempfile import TemporaryDirectory
from typing import IO

import click

from app.cli import FILE, option
from app.settings.secrets import (
    OPTIONAL_SECRETS,
    SECRETS,
    Secret,
    SecretError,
    find_hints,
    find_secret,
    is_same_file,
)


FOLDER_MODE, FILE_MODE = 0o700, 0o444

# Entries of a secrets folder that are not secrets: this repository has the first two, git needs the
# third to keep an empty folder, and the root of a file system has the last.
OTHER_ENTRIES = frozenset({"README.md", ".gitignore", ".gitkeep", "lost+found"})
DRAFT_PREFIX = ".new-"


@dataclass(frozen=True, slots=True)
class SecretsFolder:
    """A folder that only its owner can enter, with files that any container's user can read.

    Its path is absolute, so that messages show where the files are.
    """

    path: Path

    def restrict(self) -> bool:
        """Create the folder, or restrict it to its owner, and return whether its mode changed.

        A folder that holds more than secrets, as `/etc` does, is refused.
        """
        self.path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        if get_mode(self.path) == FOLDER_MODE:
            return False
        if self.foreign_entry():
            raise SecretError(*self.mode_problems())
        self.path.chmod(FOLDER_MODE)
        return True

    def mode_problems(self) -> Iterator[str]:
        """Yield what is wrong with the mode. Suggest chmod only if it holds nothing but secrets."""
        if not (entry := self.foreign_entry()):
            yield from check_mode(self.path, FOLDER_MODE)
        elif get_mode(self.path) != FOLDER_MODE:
            yield (
                f"{self.path} has mode {get_mode(self.path):04o} and also contains "
                f"{entry}. Use a folder for secrets alone, with mode {FOLDER_MODE:04o}."
            )

    def foreign_entry(self) -> str | None:
        """Return the name of an entry that is not a secret, if there is one."""
        entries = sorted(self.path.iterdir())
        return next((entry.name for entry in entries if not is_expected(entry)), None)

    def create(self, name: str) -> str:
        """Create a secret if it is missing, and return what was done."""
        file = self.path / f"{name}.txt"
        if not self.files(name):
            with contextlib.suppress(FileExistsError):
                write(file, generate(name))
                return f"created {file}"
        if file.is_file() and not file.is_symlink() and get_mode(file) != FILE_MODE:
            file.chmod(FILE_MODE)
            return f"kept {file}, changed its mode to {FILE_MODE:04o}"
        return f"kept {' and '.join(map(str, self.files(name)))}"

    def rotate(self, name: str) -> Path:
        """Write a new secret into the existing file, and return the file."""
        file = find_secret(name, self.path, {}).path
        if not file.is_file():
            raise SecretError(f"{name}: {next(self.problems(name))}")
        overwrite(file, generate(name))
        return file

    def problems(self, name: str) -> Iterator[str]:
        """Yield what is wrong with a secret, each with its remedy."""
        files = self.files(name)
        if not files:
            yield f"{self.path}/{name}.txt is missing. Run vitals secrets init."
        if len(files) > 1 and not is_same_file(*files):
            yield f"Both {files[0]} and {files[1]} exist. Keep one."
        for file in files:
            yield from check_file(Secret(name, file))

    def hints(self, name: str) -> Iterator[str]:
        """Yield what may be wrong with the content of a secret's file."""
        for file in self.files(name):
            with contextlib.suppress(SecretError):
                yield from (f"{file} {hint}" for hint in find_hints(Secret(name, file).read()))

    def files(self, name: str) -> list[Path]:
        """Return the files of a secret, including a broken symbolic link."""
        paths = (self.path / name, self.path / f"{name}.txt")
        return [path for path in paths if os.path.lexists(path)]


def is_expected(entry: Path) -> bool:
    """Return whether an entry may be in a secrets folder, also while a secret is being created."""
    if entry.name in OTHER_ENTRIES or entry.name.startswith(DRAFT_PREFIX):
        return True
    names = {*SECRETS, *OPTIONAL_SECRETS}
    return entry.name.removesuffix(".txt") in names and not entry.is_dir()


def generate(name: str) -> str:
    """Return a random secret without characters that a URL or a shell would need quoted."""
    return f"minio-{token_hex(4)}" if name == "minio_user" else token_urlsafe(32)


def write(file: Path, value: str) -> None:
    """Create a file atomically, or raise FileExistsError."""
    with TemporaryDirectory(dir=file.parent, prefix=DRAFT_PREFIX) as folder:
        draft = Path(folder, file.name)
        with draft.open("xb") as content:
            write_to_disk(content, value)
        draft.chmod(FILE_MODE)
        # Unlike a rename, a link does not replace an existing file.
        file.hardlink_to(draft)


def overwrite(file: Path, value: str) -> None:
    """Replace the content and keep the inode, which a container may have mounted.

    A reader gets the old secret, an empty file or the new secret, and never a mixture: the file is
    emptied, and filled by one write. The service treats an empty file as unreadable, and reads it
    again later.
    """
    file.chmod(FILE_MODE | stat.S_IWUSR)
    try:
        content = file.open("r+b")
    finally:
        file.chmod(FILE_MODE)
    with content:
        content.truncate()
        write_to_disk(content, value)


def write_to_disk(content: IO[bytes], value: str) -> None:
    """Write a secret in one system call, and wait until it is on the disk."""
    content.write(value.encode())
    content.flush()
    os.fsync(content.fileno())


def check_file(secret: Secret) -> Iterator[str]:
    """Yield what is wrong with the file of a secret."""
    file = secret.path
    if not file.exists():
        yield f"{file} is a broken link. Remove it, or create its target."
        return
    try:
        secret.read()
    except SecretError as error:
        yield str(error).removeprefix(f"{secret.name}: ")
    else:
        yield from check_mode(file, FILE_MODE)
    if is_tracked(file):
        yield (
            f"{file} is in git. Run git rm --cached {file}, then vitals secrets rotate "
            f"{secret.name}."
        )


def is_tracked(file: Path) -> bool:
    """Return whether git tracks the file. Without git on this machine the answer is no."""
    if not (git := shutil.which("git")):
        return False
    command = (git, "-C", file.parent, "ls-files", "--error-unmatch", "--", file.name)
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # no shell
    return done.returncode == 0


def check_mode(path: Path, expected: int) -> Iterator[str]:
    """Yield what is wrong with the permissions."""
    if (found := get_mode(path)) != expected:
        yield f"{path} has mode {found:04o}. Run chmod {expected:04o} on it."


def get_mode(path: Path) -> int:
    """Return the permissions."""
    return stat.S_IMODE(path.stat().st_mode)


# What else to do before a new secret works.
NEXT_STEPS = {
    "postgres_password": "Set it in PostgreSQL with \\password of psql: no server reads the file.",
    "redis_password": "Set it in Redis with ACL SETUSER ... >PASSWORD, or restart Redis.",
    "jwt_secret": "Create new tokens: the old ones become invalid within 2 seconds.",
    "stack_auth_secret": "Set it in the services that accept it.",
    "minio_user": "Restart MinIO.",
    "minio_password": "Restart MinIO.",
}

dir_option = option(
    "--dir",
    "folder",
    type=FILE,
    metavar="DIR",
    default="secrets",
    callback=lambda _context, _parameter, folder: folder.absolute(),
    help="The folder with the secret files.",
)


@click.group(no_args_is_help=False)
def secrets() -> None:
    """Create, check and rotate the secret files."""


@secrets.command()
@dir_option
def init(folder: Path) -> None:
    """Create the missing secret files.

    Existing files keep their content. The folder gets mode 0700 and the files 0444: the user of
    any container can read them, and no other user of this machine can reach them. A folder that
    others can enter and that holds more than secrets is refused and not changed.
    """
    secrets_folder = SecretsFolder(folder)
    with one_line_errors(folder):
        restricted = secrets_folder.restrict()
        for name in SECRETS:
            click.echo(f"{name}: {secrets_folder.create(name)}")
        if restricted:
            click.echo(f"folder: changed the mode of {folder} to {FOLDER_MODE:04o}")


@secrets.command()
@dir_option
def check(folder: Path) -> None:
    """Check each secret file, and print its path and how to fix it.

    The Compose files need all of them, whatever the settings use: vitals doctor checks the secrets
    of the settings.

    Exits with 1 if anything is wrong. A hint, such as one about quotes, is no failure.
    """
    secrets_folder = SecretsFolder(folder)
    with one_line_errors(folder):
        require_folder(folder)
        names = [*SECRETS, *filter(secrets_folder.files, OPTIONAL_SECRETS)]
        problems = {name: list(secrets_folder.problems(name)) for name in names}
        problems["folder"] = list(secrets_folder.mode_problems())
        for name in names:
            judged = problems[name] or [f"{secrets_folder.files(name)[0]} is readable."]
            click.echo(f"{name}: {' '.join([*judged, *secrets_folder.hints(name)])}")
        judged = problems["folder"] or [f"{folder} has mode {FOLDER_MODE:04o}."]
        click.echo(f"folder: {' '.join(judged)}")
    sys.exit(1 if any(problems.values()) else 0)


@secrets.command()
@click.argument("name", metavar="NAME")
@dir_option
def rotate(name: str, folder: Path) -> None:
    """Write a new secret into its file.

    The file stays the same, so a container that has it mounted reads the new secret. Change the
    secret in the server, too. NAME is postgres_password, redis_password, jwt_secret,
    stack_auth_secret, minio_user or minio_password.
    """
    if name not in SECRETS:
        raise click.BadParameter(f"{name!r} is not a secret. Use one of {', '.join(SECRETS)}.")
    with one_line_errors(folder):
        require_folder(folder)
        file = SecretsFolder(folder).rotate(name)
    click.echo(f"{name}: {file} has a new secret. {NEXT_STEPS[name]}")


def require_folder(folder: Path) -> None:
    """Raise an error unless the folder exists and can be read."""
    if not folder.is_dir():
        raise SecretError(f"{folder} is not a folder. Run vitals secrets init.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise SecretError(f"uid {os.geteuid()} can't enter {folder}. Run this as its owner.")


@contextlib.contextmanager
def one_line_errors(folder: Path) -> Iterator[None]:
    """Turn an error about a file into one line."""
    try:
        yield
    except SecretError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}.") from None
