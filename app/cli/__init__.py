"""The `vitals` command. Each subcommand is a module that is imported when it runs."""

import gc
import os
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import click

from app import __version__


# The first sentence of each command's help. It stands here so that `vitals --help` imports none.
COMMANDS = {
    "serve": "Run the service on HOST and PORT.",
    "dev": "Run the service with its own PostgreSQL and Redis-compatible server.",
    "check": "Check a running service.",
    "wait": "Wait until checks pass, then run a command.",
    "doctor": "Find out why a check fails, and what to do.",
    "secrets": "Create, check and rotate the secret files.",
    "token": "Print an operator's token.",
    "maintenance": "Take this instance out of rotation, or put it back.",
    "probes": "Print a probe configuration that suits the current settings.",
}

HIGHEST_PORT = 65535


class InvalidSettings(click.ClickException):
    """A setting that can't be used. Ends the program with the exit code 78."""

    exit_code = os.EX_CONFIG


class LazyGroup(click.Group):
    """A group that imports a command when it runs, so `vitals check` starts without the service.

    https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that the arguments name."""
        name, command, rest = super().resolve_command(ctx, args)
        if name:
            command = getattr(import_module(f"app.cli.{name}"), name)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Ctrl-C ends it with the exit code 130, without an empty line."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)


@click.group(
    cls=LazyGroup,
    commands={
        name: click.Command(name, short_help=sentence) for name, sentence in COMMANDS.items()
    },
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, message="vitals %(version)s")
@click.pass_context
def vitals(context: click.Context) -> None:
    """Check whether a deployment's dependencies can serve."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


# An option whose help shows its default and its environment variable.
option = partial(click.option, show_default=True, show_envvar=True)

FILE = click.Path(path_type=Path, readable=False)


def parse_port(text: str) -> int:
    """Parse a TCP port, which may have spaces around it as in the settings."""
    text = text.strip()
    port = int(text) if text.isascii() and text.isdecimal() and len(text) <= len("65535") else 0
    if not 0 < port <= HIGHEST_PORT:
        raise click.BadParameter(f"PORT must be a whole number from 1 to {HIGHEST_PORT}.")
    return port


def format_url(host: str, port: int) -> str:
    """Return the URL of a service."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def main() -> None:
    """Run the command that the arguments name. Print an error as one line."""
    # Imported modules stay in memory, and collections during the imports take an eighth of the
    # time until the server is up. The server enables the collector again.
    gc.disable()
    try:
        sys.exit(vitals.main(prog_name="vitals", standalone_mode=False))
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        message = " ".join(error.format_message().split())
        stop = "" if message.endswith((".", "?")) else "."
        hint = f" See {context.command_path} --help." if context else ""
        click.echo(f"vitals: {message}{stop}{hint}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    finally:
        gc.enable()
