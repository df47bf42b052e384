"""The command of `make fuzz`."""

import asyncio
import random
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.prober import ProbeProcess
from tests.fuzz.recorder import RECORDERS, recorded
from tests.fuzz.session import Finding
from tests.system.certificates import Certificates


HERE = Path(__file__).parents[2]

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def main(
    kinds: Annotated[list[str] | None, typer.Argument(help=" ".join(RECORDERS))] = None,
    seed: int | None = None,
    connections: Annotated[int, typer.Option(help="Of each kind, at least")] = sys.maxsize,
    seconds: Annotated[float, typer.Option(help="Time for all kinds together")] = sys.maxsize,
    only: Annotated[int | None, typer.Option(help="One attempt, as a finding names it")] = None,
    app: Annotated[Path, typer.Option(help="The checkout whose app is attacked")] = HERE,
) -> None:
    """Attack the probes, one round of each kind in turn, until a fault is found."""
    seed = random.randrange(10**6) if seed is None else seed
    attack = Attack(kinds or list(RECORDERS), seed, app.resolve())
    try:
        found = asyncio.run(attack.run(connections, time.monotonic() + seconds, only))
    except KeyboardInterrupt:
        found = []
    sys.exit(bool(found))


class Attack:
    """Runs a fuzzer for each kind."""

    def __init__(self, kinds: list[str], seed: int, app: Path) -> None:
        self._kinds, self._seed, self._app = kinds, seed, app

    async def run(self, connections: int, end: float, only: int | None) -> list[Finding]:
        """Attack until a fault is found or a limit is reached; return the faults."""
        async with AsyncExitStack() as stack:
            certificates = Certificates(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            fuzzers = {kind: await self._fuzzer(kind, certificates) for kind in self._kinds}
            if only is not None:
                return [
                    self._show(kind, one)
                    for kind, it in fuzzers.items()
                    for one in await it.alone(only)
                ]
            for fuzzer in fuzzers.values():
                await stack.enter_async_context(fuzzer)
            for kind, fuzzer in cycle(fuzzers.items()):
                if fuzzer.attempts >= connections or time.monotonic() > end:
                    return []
                await self._round(kind, fuzzer)
                if fuzzer.findings:
                    return [self._show(kind, finding) for finding in fuzzer.findings]
        return []

    async def _fuzzer(self, kind: str, certificates: Certificates) -> Fuzzer:
        app, root = self._app, certificates.root
        conversations = await recorded(kind, app, certificates)
        return Fuzzer(conversations, self._seed, lambda loop: ProbeProcess(app, loop, root))

    async def _round(self, kind: str, fuzzer: Fuzzer) -> None:
        begun = time.monotonic()
        await fuzzer.round()
        for finding in fuzzer.unconfirmed:
            typer.echo(f"{kind}: not reproduced: {finding.problem} in {finding.numbers}")
        fuzzer.unconfirmed.clear()
        typer.echo(
            f"{kind}, seed {self._seed}: {fuzzer.attempts} attempts, the last in"
            f" {time.monotonic() - begun:.0f} s, {fuzzer.growth / 1e6:+.1f} MB,"
            f" {dict(fuzzer.reasons.most_common())}"
        )

    def _show(self, kind: str, finding: Finding) -> Finding:
        """Print a finding, and write what was sent to a file."""
        typer.echo(f"\n*** {kind}: {finding.problem}\n{finding.about}")
        for number in finding.numbers:
            typer.echo(
                f"reproduce: python -m tests.fuzz {kind} --seed {self._seed} --only {number}"
            )
        if finding.sent:
            name = f"fuzz-{kind}-{self._seed}-{finding.numbers[0]}.txt"
            file = Path(tempfile.gettempdir()) / name
            file.write_text("\n".join(map(repr, finding.sent)))
            typer.echo(f"sent: {file}")
        return finding


if __name__ == "__main__":
    cli()
