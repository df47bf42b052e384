"""`vitals secrets`: makes, judges and rotates the files that hold the secrets."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from app.cli.folder import FOLDER_MODE, Folder
from app.settings.secret_files import SECRETS, SecretError


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
    folder = Folder(where)
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
        problems = {name: list(Folder(where).problems(name)) for name in SECRETS}
        problems["folder"] = list(Folder(where).exposure())
        hints = {name: list(Folder(where).hints(name)) for name in SECRETS}
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
        file = Folder(where).replace(name)
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
