"""The fuzzer finds each kind of fault, in fake probes that have it."""

import asyncio
from pathlib import Path

import psutil
import pytest

from tests.fuzz.conversation import Conversation, Target, Turn
from tests.fuzz.dependency import Player
from tests.fuzz.fuzzer import Fuzzer


pytestmark = pytest.mark.alone

ANSWER = Turn(b"", (b"HTTP/1.1 200 OK\r\n\r\n",))
TARGET = Target("http", "http://127.0.0.1:{port}/")
CONVERSATION = Conversation("plain", TARGET, "http", (ANSWER,), 1, ("pass",), closes=False)

# A probe that causes a fault, and then fails with a valid reason.
PROBE = """
import asyncio, os, signal, threading, time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

KEPT = []

def spin():
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        pass

async def read(url):
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    await reader.read()
    writer.close()

class Probe:
    def __init__(self, url):
        self.url = url
    async def __call__(self):
        {body}
        raise EOFError
    def explain(self, error):
        return "{reason}"

@asynccontextmanager
async def open_probe(spec, _resources):
    yield Probe(spec[2].url)

options = SimpleNamespace(model_construct=SimpleNamespace)
BY_SCHEME = {{"http": SimpleNamespace(options=options, open=open_probe)}}
"""

# The other modules that the child imports.
KIND = """
def CheckSpec(*given):
    return given

def Resources(*given, **named):
    return given, named
"""
# A connection that a probe has forgotten.
CONNECT = (
    "KEPT.append(await asyncio.get_running_loop().create_connection("
    "asyncio.Protocol, '127.0.0.1', urlsplit(self.url).port))"
)
FAULTS = [
    ("the child ended by SIGSEGV", "os.kill(os.getpid(), signal.SIGSEGV)"),
    ("the child exited with 3", "os._exit(3)"),
    ("a block of", "KEPT or (KEPT.append(1), spin())"),
    ("asyncio: ", "asyncio.get_running_loop().call_soon(None)"),
    ("unraisable: ", "threading.Thread(target=lambda: 1 / 0).start()"),
    ("left behind: {'threads'", "threading.Timer(99, print).start()"),
    ("left behind: {'descriptors'", "os.dup(0)"),
    ("left behind: {'descriptors'", CONNECT),
    ("grew by", "KEPT.append(b'x' * 50_000)"),
    ("passes without an answer", "return await read(self.url)"),
]


def fuzzer(folder: Path, body: str, reason: str = "disconnected") -> Fuzzer:
    """Return a fuzzer that attacks fake probes."""
    probes = folder / "app" / "checks"
    probes.mkdir(parents=True)
    for package in (probes, probes.parent):
        (package / "__init__.py").touch()
    (probes / "registry.py").write_text(PROBE.format(body=body, reason=reason))
    (probes / "kind.py").write_text(KIND)
    for driver in ("postgres_server", "redis_server"):
        (probes / f"{driver}.py").touch()
    return Fuzzer([CONVERSATION], 1, folder, folder / "no roots")


async def problems(fuzzer: Fuzzer) -> list[str]:
    """Return the problems that two rounds find."""
    async with fuzzer:
        await fuzzer.round()
        if not fuzzer.findings:
            await fuzzer.round()
    return [finding.problem for finding in fuzzer.findings]


@pytest.mark.parametrize(("problem", "body"), FAULTS)
async def test_a_fault_is_found(tmp_path: Path, problem: str, body: str) -> None:
    """It is found in the second round at the latest."""
    assert [one for one in await problems(fuzzer(tmp_path, body)) if one.startswith(problem)]


async def test_a_fault_is_traced_to_its_attempt(tmp_path: Path) -> None:
    """Several attempts ran when the child died."""
    body = "if not KEPT: KEPT.append(1); await asyncio.sleep(0.01); os.abort()"
    attack = fuzzer(tmp_path, body)
    await problems(attack)
    assert [len(finding.numbers) for finding in attack.findings] == [1]


@pytest.mark.parametrize("reason", ["error", "stuck", "dns"])
async def test_a_reason_that_no_server_can_cause_is_found(tmp_path: Path, reason: str) -> None:
    """The name is resolved and the port is open."""
    assert f"reason {reason} for EOFError" in await problems(fuzzer(tmp_path, "", reason))


async def test_probes_without_a_fault_pass(tmp_path: Path) -> None:
    """The fuzzer finds nothing."""
    assert await problems(fuzzer(tmp_path, "await asyncio.sleep(0)")) == []


@pytest.mark.parametrize("steps", range(5))
async def test_a_server_that_is_cancelled_at_its_start_is_closed(steps: int) -> None:
    """The child may die while attempts begin."""

    async def serve() -> None:
        async with Player(CONVERSATION).serve():
            await asyncio.Event().wait()

    before = psutil.Process().num_fds()
    serving = asyncio.create_task(serve())
    for _ in range(steps):
        await asyncio.sleep(0)
    serving.cancel()
    await asyncio.wait([serving])
    assert psutil.Process().num_fds() == before
