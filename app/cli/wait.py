"""`vitals wait`: wait until checks pass, then run a command."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import NoReturn

import click

from app.check_factory import open_checks
from app.checks.kind import MAX_SECONDS
from app.cli.serve import load_settings
from app.health import Check, Clock, Monitor, Observation, Status
from app.settings import Settings


# As shells use them, https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
NO_PERMISSION, NO_SUCH_COMMAND, ENDED_BY_SIGNAL = 126, 127, 128

# Seconds between two attempts of a check whose own interval is longer.
MAX_INTERVAL = 1.0

# Moves the cursor up by some lines, and erases from there on.
REDRAW = "\x1b[{}A\x1b[J"


def parse_timeout(text: str) -> float:
    """Parse a number of seconds."""
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) <= MAX_SECONDS:
            return seconds
    raise click.BadParameter(f"must be a number of seconds from 0 to {MAX_SECONDS}.")


class WaitCommand(click.Command):
    """A command whose arguments after `--` are another command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments before `--`, and store the rest in the context."""
        end = args.index("--") if "--" in args else len(args)
        ctx.obj = args[end + 1 :]
        return super().parse_args(ctx, args[:end])


@click.command(cls=WaitCommand)
@click.argument("names", metavar="[NAME]... [-- COMMAND...]", nargs=-1)
@click.option(
    "--timeout",
    metavar="S",
    type=parse_timeout,
    default="60",
    show_default=True,
    help="Seconds after which to give up; 0 waits forever.",
)
@click.pass_obj
def wait(command: list[str], names: tuple[str, ...], timeout: float) -> None:
    """Wait until checks pass, then run a command.

    Needs no running service: it logs in to each dependency and queries it, with the settings that
    the service has. NAME is the name of a check (default: all required ones).

    Exits with 1 if the checks do not pass in time, and prints why. Without COMMAND it exits with 0
    when they pass. COMMAND replaces this process, so signals and the exit code are its own.
    """
    signal.signal(signal.SIGTERM, lambda number, _frame: os._exit(ENDED_BY_SIGNAL + number))
    settings = load_settings()
    if command and not shutil.which(command[0]):
        if shutil.which(command[0], os.F_OK):
            click.echo(f"vitals: {command[0]}: not executable. Run chmod +x.", err=True)
            sys.exit(NO_PERMISSION)
        click.echo(f"vitals: {command[0]}: no such command. Correct it or install it.", err=True)
        sys.exit(NO_SUCH_COMMAND)
    failing = asyncio.run(wait_for_checks(settings, names, timeout or None))
    for observation in failing:
        click.echo(f"vitals: {observation.check.name}: {explain(observation)}", err=True)
    if failing:
        click.echo(f"vitals: gave up after {timeout:g} s.", err=True)
        sys.exit(1)
    if command:
        execute(command)


def explain(observation: Observation) -> str:
    """Return why a check does not pass."""
    if count := observation.successes:
        threshold = observation.check.success_threshold
        return f"passes, with {count} of {threshold} successes in a row. Raise --timeout."
    return f"{observation.reason or 'no result yet'}. {observation.advice or ''}".rstrip()


def execute(command: list[str]) -> NoReturn:
    """Replace this process by a command, with the signal handlers that a shell would give it."""
    # Python ignores these two, and an ignored signal stays ignored.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the user's own command, without a shell
    except OSError as error:
        click.echo(f"vitals: {command[0]}: {error.strerror}.", err=True)
        sys.exit(NO_PERMISSION)


async def wait_for_checks(
    settings: Settings, names: Collection[str], seconds: float | None
) -> list[Observation]:
    """Run checks until all pass or the time is over, and return those that do not pass.

    Args:
        names: of the checks; empty for all required ones.
        seconds: how long to wait; None waits forever.
    """
    async with AsyncExitStack() as stack:
        opened = await open_checks(settings, settings.read_secret, stack)
        checks = select_checks(opened, names)
        progress = Progress(is_terminal=sys.stderr.isatty())
        monitor = Monitor(checks, clock=Clock())
        changed = asyncio.Event()
        monitor.subscribe(on_result=lambda *_: changed.set())
        await stack.enter_async_context(monitor)

        async def watch() -> None:
            while find_failing(monitor):
                await changed.wait()
                changed.clear()
                progress.show(monitor.report().checks)

        watching = asyncio.create_task(watch())
        await asyncio.wait({watching}, timeout=seconds)
        watching.cancel()
        return find_failing(monitor)


def select_checks(checks: Sequence[Check], names: Collection[str]) -> list[Check]:
    """Return the checks of these names, or all required ones, with short intervals."""
    known = {check.name for check in checks}
    if unknown := sorted(set(names) - known):
        msg = f"{unknown[0]!r} is not a check. Use {', '.join(sorted(known))}."
        raise click.UsageError(msg)
    wanted = [check for check in checks if (check.name in names if names else check.required)]
    return [replace(check, interval=min(check.interval, MAX_INTERVAL)) for check in wanted]


def find_failing(monitor: Monitor) -> list[Observation]:
    """Return the checks without enough consecutive successes.

    The state machine shows the first result at once. Here it counts only once: a server that starts
    may answer and restart.
    """
    return [
        observation
        for observation in monitor.report().checks
        if observation.status is not Status.PASS
        or observation.successes < observation.check.success_threshold
    ]


class Progress:
    """Shows the state of each check: on a terminal in place, and elsewhere each change."""

    def __init__(self, *, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._shown = dict[str, str]()

    def show(self, observations: Sequence[Observation]) -> None:
        """Print what has changed."""
        texts = {
            observation.check.name: observation.reason or observation.status.word
            for observation in observations
        }
        lines = list(self._format(texts))
        if lines and self._is_terminal and self._shown:
            lines[0] = REDRAW.format(len(self._shown)) + lines[0]
        for line in lines:
            click.echo(line, err=True)
        self._shown = texts

    def _format(self, texts: dict[str, str]) -> Iterator[str]:
        for name, text in texts.items():
            if self._shown.get(name) != text or (self._is_terminal and texts != self._shown):
                yield f"{name}: {text}"
