"""`vitals token`: makes the token that an operator shows."""

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from app.auth import SCOPE, issue
from app.settings.secrets import SIGNS, SecretError, find, key


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Scope = Annotated[str, typer.Option(metavar="SCOPE", help="What it opens.")]
Ttl = Annotated[
    str, typer.Option(metavar="TTL", help="How long it is good for, as 90s, 15m, 1h or 30d.")
]
Where = Annotated[
    Path,
    typer.Option("--dir", envvar="SECRETS_DIR", readable=False, help="The folder of the secrets."),
]
File = Annotated[
    str, typer.Option(envvar="JWT_SECRET_FILE", help="The file of jwt_secret.", show_default=False)
]


def token(
    scope: Scope = SCOPE,
    ttl: Ttl = "1h",
    where: Where = Path("/run/secrets"),
    file: File = "",
) -> None:
    """Print a token with which an operator sees more.

    It goes into a request as Authorization: Bearer TOKEN, and is void when jwt_secret is rotated.
    """
    if scope != SCOPE:
        msg = f"--scope must be {SCOPE}"
        raise typer.BadParameter(msg)
    expires = time.time() + seconds(ttl)
    try:
        signing = key(find(SIGNS, where, {"JWT_SECRET_FILE": file}))
    except SecretError as error:
        raise typer.TyperException(str(error)) from None
    typer.echo(issue(signing, scope, expires))


def seconds(ttl: str) -> int:
    """Tell how many seconds a time to live has.

    Raises:
        typer.BadParameter: it can't be read.

    """
    if not (found := re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", ttl)):
        msg = "--ttl must be a number and a unit, as 90s, 15m, 1h or 30d"
        raise typer.BadParameter(msg)
    return int(found[1]) * UNITS[found[2]]
