"""The command of `make fuzz`."""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz.fuzzer import Finding, Fuzzer
from tests.fuzz.recorder import RECORDERS, recorded
from tests.system.certificates import Certificates


HERE = Path(__file__).parents[2]

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    kinds: Annotated[list[str] | None, typer.Argument(help=" ".join(RECORDERS))] = None,
    seed: int | None = None,
    seconds: Annotated[float, typer.Option(help="Time for all kinds together")] = sys.maxsize,
    only: Annotated[int | None, typer.Option(help="One attempt, as a finding names it")] = None,
    app: Annotated[Path, typer.Option(help="The checkout whose app is attacked")] = HERE,
) -> None:
    """Attack the probes, one round of each kind in turn, until a fault is found."""
    seed = random.randrange(10**6) if seed is None else seed
    end = time.monotonic() + seconds
    attacking = attack(kinds or list(RECORDERS), seed, app.resolve(), end, only)
    try:
        found = asyncio.run(attacking)
    except KeyboardInterrupt:
        found = False
    sys.exit(found)


async def attack(kinds: list[str], seed: int, app: Path, end: float, only: int | None) -> bool:
    """Attack until a fault is found or the time is over; return whether a fault is found."""
    async with AsyncExitStack() as stack:
        certificates = Certificates(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        fuzzers = {
            kind: Fuzzer(await recorded(kind, app, certificates), seed, app, certificates.root)
            for kind in kinds
        }
        for fuzzer in fuzzers.values():
            if only is None:
                await stack.enter_async_context(fuzzer)
            else:
                fuzzer.findings += await fuzzer.alone(only)
        if only is None:
            await run_rounds(fuzzers, seed, end)
    for kind, fuzzer in fuzzers.items():
        for finding in fuzzer.findings:
            show(kind, seed, finding)
    return any(fuzzer.findings for fuzzer in fuzzers.values())


async def run_rounds(fuzzers: Mapping[str, Fuzzer], seed: int, end: float) -> None:
    """Run one round of each kind in turn, until a fault is found or the time is over."""
    for kind, fuzzer in cycle(fuzzers.items()):
        begun = time.monotonic()
        if begun > end:
            return
        await fuzzer.round()
        for finding in fuzzer.unconfirmed:
            typer.echo(f"{kind}: not reproduced: {finding.problem} in {finding.numbers}")
        fuzzer.unconfirmed.clear()
        typer.echo(
            f"{kind}, seed {seed}: {fuzzer.attempts} attempts, the last in"
            f" {time.monotonic() - begun:.0f} s, {fuzzer.growth / 1e6:+.1f} MB,"
            f" {dict(fuzzer.reasons.most_common())}"
        )
        if fuzzer.findings:
            return


def show(kind: str, seed: int, finding: Finding) -> None:
    """Print a finding, and write what was sent to a file."""
    typer.echo(f"\n*** {kind}: {finding.problem}\n{finding.about}")
    for number in finding.numbers:
        typer.echo(f"reproduce: python -m tests.fuzz {kind} --seed {seed} --only {number}")
    if finding.sent:
        name = f"fuzz-{kind}-{seed}-{finding.numbers[0]}.txt"
        file = Path(tempfile.gettempdir()) / name
        file.write_text("\n".join(map(repr, finding.sent)))
        typer.echo(f"sent: {file}")


if __name__ == "__main__":
    cli()
