"""`vitals probes`: prints how whoever asks is to be configured."""

import os
from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.cli.plans import PLANS
from app.settings import Settings, judge
from app.settings.shown import in_force
from app.text import visible
from app.timing import Rule, promise


# What a configuration is computed from; a configuration may be printed where no secret is.
USED = (
    *("PORT", "CHECK_INTERVAL", "CHECK_TIMEOUT", "POSTGRES_CHECK_INTERVAL"),
    *("POSTGRES_CHECK_TIMEOUT", "REDIS_CHECK_INTERVAL", "REDIS_CHECK_TIMEOUT", "HTTP_CHECKS"),
    *("OPTIONAL_CHECKS", "FAILURE_THRESHOLD", "SUCCESS_THRESHOLD", "DRAIN_SECONDS"),
    "SHUTDOWN_SECONDS",
)

WIDTH = 100

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=False,  # noqa: S701 - no browser reads it
    auto_reload=False,
    keep_trailing_newline=True,
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)


def probes(
    kind: Annotated[str, typer.Argument(metavar="|".join(PLANS), help="Who asks.")],
) -> None:
    """Print a probe configuration, computed from the settings in force.

    What must hold between the two is printed with it. Exits with 1 where it can't hold, and says
    which setting to change.
    """
    if kind not in PLANS:
        msg = f"{kind!r} is none of {', '.join(PLANS)}"
        raise typer.BadParameter(msg)
    typer.echo(configuration(kind), nl=False)


def configuration(kind: str) -> str:
    """Write a configuration for the settings in force.

    Raises:
        typer.TyperException: none would do.

    """
    settings, problems = judge()
    if wrong := [line for line in problems if line.partition(" ")[0] in USED]:
        error = typer.TyperException(wrong[0])
        error.exit_code = os.EX_CONFIG
        raise error
    plan = PLANS[kind](promise(settings))
    for rule in plan.rules:
        if not rule.holds:
            raise typer.TyperException(rule.remedy)
    return TEMPLATES.get_template(f"{kind}.txt").render(
        head=head(kind, settings, plan.rules),
        port=settings.port,
        promised=plan.promised,
        **plan.values,
    )


def head(kind: str, settings: Settings, rules: list[Rule]) -> str:
    """Tell, as a comment, what a configuration is computed from, and what holds."""
    known = in_force(settings)
    used = " ".join(f"{name}={known[name]}" for name in USED if known.get(name))
    lines = [
        f"`vitals probes {kind}` has computed this from the settings in force:",
        *(f"  {line}" for line in wrap(used, WIDTH, break_long_words=False)),
        "What must hold, and does:",
        *(f"  {rule.words}" for rule in rules),
    ]
    return "\n".join(f"# {visible(line)}" for line in lines)


def seconds(value: float) -> str:
    """Write a time as every one of these programs reads it: in whole seconds or milliseconds."""
    return f"{value:g}s" if value == int(value) else f"{value * 1000:g}ms"


TEMPLATES.filters.update(g="{:g}".format, s=seconds)
