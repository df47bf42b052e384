"""The command line: one command a file."""

import gc
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from app import __version__


# Help must not import what the commands need, so it can't ask them.
COMMANDS = {
    "serve": "Serve on HOST and PORT until told to stop.",
    "dev": "Serve on an embedded PostgreSQL and a Redis-compatible server, both gone at the end.",
    "check": "Ask a running service how it is.",
    "doctor": "Tell why it is red, and what to try.",
    "secrets": "Make, judge and rotate the files that hold the secrets.",
    "token": "Print a token with which an operator sees more.",
    "maintenance": "Take this instance out of rotation, or put it back.",
    "probes": "Print a probe configuration, computed from the settings in force.",
}


def light(params: list[Any]) -> list[Any]:
    """Take words as they are: typer imports pydantic for that, which `vitals check` can't await."""
    for param in params:
        if param.name == "help" or param.type_descriptor.annotation is str:
            param.get_runtime_param = lambda: SimpleNamespace(coerce=lambda value, **_: value)
    return params


class Command(TyperCommand):
    """A command that takes words as they are."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Tell what the command takes."""
        return light(super().get_params(ctx))


class Commands(TyperGroup):
    """The commands, each imported when it is run: none waits for what another needs."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Tell what `vitals` itself takes."""
        return light(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that the arguments name."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, imported(name) if name else stub, rest


def imported(name: str) -> Any:
    """Import a command, or a group of them."""
    module = vars(import_module(f"app.cli.{name}"))
    group = typer.Typer(help=COMMANDS[name], rich_markup_mode=None, add_completion=False)
    for function in module.get("COMMANDS") or [module[name]]:
        group.command(cls=Command)(function)
    return get_command(group)


def stub() -> None:
    """Stand for a command that is not imported yet."""


def vitals(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Tell the version.")] = False,
) -> None:
    """Answers, truthfully and at once, whether a deployment's dependencies can serve."""
    if version:
        typer.echo(f"vitals {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command that the arguments name; what is wrong with them is told in one line."""
    application = typer.Typer(
        cls=Commands,
        callback=vitals,
        invoke_without_command=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name, sentence in COMMANDS.items():
        application.command(name, short_help=sentence)(stub)
    # What is imported stays: to look through it for garbage, again and again as it grows, takes an
    # eighth of the time until a server is up, which then has the collector begin.
    gc.disable()
    try:
        sys.exit(application(prog_name="vitals", standalone_mode=False))
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f" See {context.command_path} --help." if context else ""
        typer.echo(f"vitals: {' '.join(error.format_message().split())}{hint}", err=True)
        sys.exit(error.exit_code)
    finally:
        gc.enable()
