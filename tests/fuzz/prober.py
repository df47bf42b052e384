"""The fuzzer's client of the child process that runs the probes."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Self


CHILD = Path(__file__).with_name("child.py")

# Seconds in which the child answers any order, also on a busy machine.
ORDER_TIMEOUT = 30


class DiedError(Exception):
    """The child has ended, or no longer answers."""


class ProbeProcess:
    """Runs the child.

    Args:
        app: the folder of the checkout whose `app` is attacked.
        loop: the event loop of the child, `asyncio` or `uvloop`.
        root: the CA certificate that the child trusts.

    Attributes:
        faults: the faults that the child has reported on its own.
    """

    def __init__(self, app: Path, loop: str, root: Path) -> None:
        self._loop = loop
        trusted = {"SSL_CERT_FILE": str(root)}
        self._environ = {**os.environ, "PYTHONPATH": str(app), **trusted}
        self.faults: list[str] = []
        self._waiting: dict[int | None, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __aexit__
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "faulthandler", "-W", "error::ResourceWarning"),
            *(str(CHILD), self._loop),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            env=self._environ,
            start_new_session=True,  # Ctrl-C is for the fuzzer
        )
        self._reading = asyncio.create_task(self._read_reports())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._reading
        self._log.close()

    async def run(self, order: dict[str, Any]) -> list[list[str]]:
        """Run the attempts of an order; return their outcomes.

        Raises:
            DiedError: the child has ended.
        """
        answer = await self._send_order(order["lane"], order)
        return list(answer["outcomes"])

    async def wait_idle(self) -> dict[str, Any]:
        """Return what the attempts leaked, when none runs.

        Raises:
            DiedError: the child has ended.
        """
        return await self._send_order(None, {})

    def output(self) -> str:
        """Return the end of the child's standard error."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    async def _send_order(self, lane: int | None, order: dict[str, Any]) -> dict[str, Any]:
        if self._reading.done():
            raise DiedError(self._end())
        future = asyncio.get_running_loop().create_future()
        self._waiting[lane] = future
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        try:
            return await asyncio.wait_for(future, ORDER_TIMEOUT)
        except TimeoutError:
            raise DiedError(f"has not answered for {ORDER_TIMEOUT} s") from None

    async def _read_reports(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            report = json.loads(line)
            if "fault" in report:
                self.faults.append(report["fault"])
            else:
                self._settle(self._waiting.pop(report["lane"]), report)
        await self._process.wait()
        for future in self._waiting.values():
            self._settle(future, DiedError(self._end()))

    @staticmethod
    def _settle(future: asyncio.Future[Any], outcome: dict[str, Any] | DiedError) -> None:
        if future.done():  # it has timed out
            return
        if isinstance(outcome, DiedError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _end(self) -> str:
        code = self._process.returncode or 0
        return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
