"""The checks of the service without its server: prints the CPU time per attempt, in seconds.

The checks come from the settings. Metrics and log get each result, as in the service.
"""

import asyncio
import gc
import sys
import time
from contextlib import AsyncExitStack

import uvloop

from app.api.metrics import MetricsRecorder
from app.application import create_monitor
from app.check_factory import open_checks
from app.health import Clock, Result
from app.settings import load
from app.settings.secrets import SecretStore


async def measure(seconds: float) -> float:
    """Return the CPU time of the process per attempt. Each attempt must pass."""
    settings = load()
    secrets = SecretStore(settings.read_secret)
    attempts = 0

    def count(name: str, result: Result) -> None:
        nonlocal attempts
        attempts += 1
        if result.reason:
            sys.exit(f"{name} fails: {result.reason}")

    async with AsyncExitStack() as stack:
        checks = await open_checks(settings, secrets.read, stack)
        monitor = create_monitor(checks, Clock(), MetricsRecorder(checks), secrets.redact)
        monitor.subscribe(on_result=count)
        await stack.enter_async_context(monitor)
        await asyncio.sleep(1)
        gc.freeze()  # as the server does after the start
        attempts, used = 0, time.process_time()
        await asyncio.sleep(seconds)
        return (time.process_time() - used) / attempts


print(uvloop.run(measure(float(sys.argv[1]))))
