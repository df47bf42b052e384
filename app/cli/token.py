"""`vitals token`: print a token for an operator."""

import re
import time
from pathlib import Path

import click

from app.auth import SCOPE, issue
from app.settings.secrets import SIGNING_KEY, SecretError, find_secret, read_signing_key


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@click.option("--scope", metavar="SCOPE", default=SCOPE, help="What it permits.", show_default=True)
@click.option(
    "--ttl",
    metavar="TTL",
    default="1h",
    help="How long it is valid: 90s, 15m, 1h or 30d.",
    show_default=True,
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, readable=False),
    metavar="DIR",
    envvar="SECRETS_DIR",
    default="/run/secrets",
    help="The folder with the secret files.",
    show_default=True,
    show_envvar=True,
)
@click.option(
    "--file",
    metavar="FILE",
    envvar="JWT_SECRET_FILE",
    default="",
    help="The file with jwt_secret.",
    show_envvar=True,
)
def token(scope: str, ttl: str, folder: Path, file: str) -> None:
    """Print an operator's token.

    Send it as the header Authorization: Bearer TOKEN. It is valid until it expires, or until
    jwt_secret changes.
    """
    if scope != SCOPE:
        raise click.BadParameter(f"--scope must be {SCOPE}.")
    expires = time.time() + parse_ttl(ttl)
    try:
        secret = find_secret(SIGNING_KEY, folder, {"JWT_SECRET_FILE": file})
        signing_key = read_signing_key(secret)
    except SecretError as error:
        raise click.ClickException(str(error)) from None
    click.echo(issue(signing_key, scope, expires))


def parse_ttl(text: str) -> int:
    """Return a time to live in seconds.

    Raises:
        click.BadParameter: it has another form, or is 0, or has more than 5 digits.
    """
    if not (found := re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", text)):
        raise click.BadParameter("--ttl must be a number and a unit, such as 90s, 15m, 1h or 30d.")
    return int(found[1]) * UNITS[found[2]]
