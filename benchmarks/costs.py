"""What a contender costs besides processor time: statements, start, memory, the monitor itself."""

import http.client
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.answer import fixed
from benchmarks.contenders import RAW, Contender
from benchmarks.load import wrk
from benchmarks.process import FIRST, SECOND, Running
from benchmarks.stores import Stores


REQUESTS = 1000


@dataclass(frozen=True)
class Costs:
    """What was measured.

    Attributes:
        asked: statements and commands that 1,000 requests cause.
        starts: seconds from exec to the first answer.
        memory: resident bytes after many requests.
        growth: how often 30 checks are told while 2 are told once; with the raw contender, what
            the bytes of that alone make of a fixed answer.
        monitor: the share of a processor that 30 idle checks take, and the bytes they grow by.

    """

    asked: dict[Contender, tuple[float, float]]
    starts: dict[Contender, float]
    memory: dict[Contender, float]
    growth: dict[Contender, float]
    monitor: tuple[float, int]


def asked(stores: Stores, contender: Contender, environ: Mapping[str, str]) -> tuple[float, float]:
    """Count what 1,000 requests have PostgreSQL and Redis asked, the schedule's own included."""
    with Running(contender, environ) as server:
        server.await_ready()
        before = stores.statements, stores.commands
        requests(server, REQUESTS)
        return stores.statements - before[0], stores.commands - before[1]


def requests(server: Running, number: int) -> None:
    """Put requests, one after another."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for _ in range(number):
        connection.request("GET", server.contender.path)
        connection.getresponse().read()
    connection.close()


def processes(
    contenders: Sequence[Contender], environ: Mapping[str, str], rounds: int, number: int
) -> tuple[dict[Contender, float], dict[Contender, float]]:
    """Tell the seconds to the first answer, and the resident bytes after so many at least."""
    starts, memory = (defaultdict(list) for _ in range(2))
    for _ in range(rounds):
        for contender in contenders:
            with Running(contender, environ) as server:
                server.await_ready()
                answered = 0.0
                while answered < number:
                    answered += wrk(server, 32, 1).rate
                starts[contender].append(server.cold)
                memory[contender].append(server.memory)
    return tuple({c: median(told) for c, told in kind.items()} for kind in (starts, memory))


def growth(
    contenders: Sequence[Contender], stores: Stores, checks: int, rounds: int, seconds: int
) -> dict[Contender, float]:
    """Tell how often each answers with many checks while it answers once with two."""
    ratios = defaultdict(list)
    with ExitStack() as stack:
        few = stack.enter_context(fixed(stores.environ))
        target = stack.enter_context(Running(RAW, few, SECOND))
        named = {f"service{number}": {"url": target.url} for number in range(checks - 2)}
        many = stack.enter_context(fixed({**stores.environ, "HTTP_CHECKS": json.dumps(named)}))
        for _ in range(rounds):
            for contender in contenders:
                ratios[contender].append(_growth(contender, few, many, seconds))
    return {contender: median(told) for contender, told in ratios.items()}


def _growth(
    contender: Contender, few: Mapping[str, str], many: Mapping[str, str], seconds: int
) -> float:
    with Running(contender, few) as one, Running(contender, many) as other:
        for server in (one, other):
            server.await_ready()
            wrk(server, 32, 1)  # what is made at the first request is not measured
        rate, with_many = (wrk(server, 32, seconds).rate for server in (one, other))
        return with_many / rate


def monitor(checks: int, seconds: int) -> tuple[float, int]:
    """Tell the share of a core that a monitor uses, and the bytes that it grows by."""
    command = [sys.executable, "-m", "benchmarks.apps.monitor", str(checks), str(seconds)]
    pinned = ["taskset", "--cpu-list", str(FIRST), *command]
    told = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout.split()
    return float(told[0]), int(told[1])
