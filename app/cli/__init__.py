"""The command line: one command a file."""

import typer

from app.cli import dev, serve


def main() -> None:
    """Run the command that the arguments name."""
    application = typer.Typer(
        name="vitals",
        help="Answers, truthfully and at once, whether a deployment's dependencies can serve.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    application.command()(serve.serve)
    application.command()(dev.dev)
    application()
