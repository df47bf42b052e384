"""`vitals token`: print a token for an operator."""

import re
import time
from pathlib import Path

import click

from app.auth import SCOPE, issue
from app.cli import FILE, option
from app.settings.secrets import SIGNING_KEY, SecretError, find_secret, read_signing_key


UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@option("--scope", metavar="SCOPE", default=SCOPE, help="What it permits.")
@option("--ttl", metavar="TTL", default="1h", help="How long it is valid: 90s, 15m, 1h or 30d.")
@option(
    "--dir",
    "folder",
    type=FILE,
    metavar="DIR",
    envvar="SECRETS_DIR",
    default="/run/secrets",
    help="The folder with the secret files.",
)
@option(
    "--file",
    metavar="FILE",
    envvar="JWT_SECRET_FILE",
    default="",
    show_default=False,
    help="The file with jwt_secret.",
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
        signing_key = read_signing_key(find_secret(SIGNING_KEY, folder, {"JWT_SECRET_FILE": file}))
    except SecretError as error:
        raise click.ClickException(str(error)) from None
    click.echo(issue(signing_key, scope, expires))


def parse_ttl(text: str) -> int:
    """Return a time to live in seconds."""
    if not (found := re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", text)):
        raise click.BadParameter("--ttl must be a number and a unit, such as 90s, 15m, 1h or 30d.")
    return int(found[1]) * UNITS[found[2]]
