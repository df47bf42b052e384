"""The fuzzer's client of the child process that runs the probes."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


CHILD = Path(__file__).with_name("child.py")

# Seconds in which the child answers any order, also on a busy machine.
ORDER_TIMEOUT = 30


class DiedError(Exception):
    """The child has ended, or no longer answers; `ProbeProcess.faults` has the details."""


class ProbeProcess:
    """Runs the child.

    Args:
        app: the folder of the checkout whose `app` is attacked.
        loop: the event loop of the child, `asyncio` or `uvloop`.
        root: the CA certificate that the child trusts.

    Attributes:
        faults: the faults that the child has reported on its own, and its end.
    """

    def __init__(self, app: Path, loop: str, root: Path) -> None:
        self._loop = loop
        self._environ = {**os.environ, "PYTHONPATH": str(app), "SSL_CERT_FILE": str(root)}
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

    async def run(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Run the attempts of an order, and return their outcomes.

        An empty order is answered when no attempt runs, with what the attempts leaked.

        Raises:
            DiedError: the child has ended, or no longer answers.
        """
        if self._reading.done():
            raise DiedError
        future = self._waiting[order.get("port")] = asyncio.get_running_loop().create_future()
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        try:
            return await asyncio.wait_for(future, ORDER_TIMEOUT)
        except TimeoutError:
            self.faults.append(f"the child has not answered for {ORDER_TIMEOUT} s")
            raise DiedError from None

    def output(self) -> str:
        """Return the end of the child's standard error."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]

    async def _read_reports(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            report = json.loads(line)
            if "fault" in report:
                self.faults.append(report["fault"])
            elif not (waiting := self._waiting.pop(report["port"])).done():  # it may time out
                waiting.set_result(report)
        code = await self._process.wait()
        end = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        self.faults.append(f"the child {end}")
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(DiedError)
