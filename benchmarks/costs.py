"""Costs of a contender besides CPU time: queries, start, memory, and the monitor itself."""

import http.client
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from benchmarks.answer import recorded_answer
from benchmarks.checks import CheckCosts
from benchmarks.contenders import RAW, Contender
from benchmarks.load import wrk
from benchmarks.process import FIRST, SECOND, Server
from benchmarks.stores import Stores


REQUESTS = 1000


@dataclass(frozen=True)
class Costs:
    """The measurements.

    Attributes:
        queries: PostgreSQL statements and Redis commands during 1,000 requests.
        starts: seconds from exec to the first answer.
        memory: resident bytes after many requests.
        growth: rate of answers with 30 checks, divided by the rate with 2. For raw ASGI, this is
            the effect of the larger body alone.
        monitor: share of a CPU that 30 idle checks use, and the bytes that their memory grows by.
        checks: the CPU time of each kind of check, and the figures of 200 checks.
    """

    queries: dict[Contender, tuple[float, float]]
    starts: dict[Contender, float]
    memory: dict[Contender, float]
    growth: dict[Contender, float]
    monitor: tuple[float, int]
    checks: CheckCosts


def queries(
    stores: Stores, contender: Contender, environ: Mapping[str, str]
) -> tuple[float, float]:
    """Count statements and commands during 1,000 requests, scheduled checks included."""
    with Server(contender, environ) as server:
        server.await_ready()
        before = stores.statements, stores.commands
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for _ in range(REQUESTS):
            connection.request("GET", contender.path)
            connection.getresponse().read()
        connection.close()
        return stores.statements - before[0], stores.commands - before[1]


def processes(
    contenders: Sequence[Contender], environ: Mapping[str, str], rounds: int, number: int
) -> tuple[dict[Contender, float], dict[Contender, float]]:
    """Return seconds to the first answer, and resident bytes after at least *number* requests."""
    starts, memory = (defaultdict(list) for _ in range(2))
    for _ in range(rounds):
        for contender in contenders:
            with Server(contender, environ) as server:
                server.await_ready()
                answered = 0.0
                while answered < number:
                    answered += wrk(server, 32, 1).rate
                starts[contender].append(server.cold_start)
                memory[contender].append(server.memory)
    return tuple({c: median(values) for c, values in kind.items()} for kind in (starts, memory))


def growth(
    contenders: Sequence[Contender], stores: Stores, checks: int, rounds: int, seconds: int
) -> dict[Contender, float]:
    """Return each contender's rate with *checks* checks, divided by its rate with two."""
    ratios = defaultdict(list)
    with ExitStack() as stack:
        few = stack.enter_context(recorded_answer(stores.environ))
        target = stack.enter_context(Server(RAW, few, SECOND))
        named = {f"service{number}": {"url": target.url} for number in range(checks - 2)}
        settings = {**stores.environ, "HTTP_CHECKS": json.dumps(named)}
        many = stack.enter_context(recorded_answer(settings))
        for _ in range(rounds):
            for contender in contenders:
                ratios[contender].append(_growth(contender, few, many, seconds))
    return {contender: median(values) for contender, values in ratios.items()}


def _growth(
    contender: Contender, few: Mapping[str, str], many: Mapping[str, str], seconds: int
) -> float:
    with Server(contender, few) as one, Server(contender, many) as other:
        for server in (one, other):
            server.await_ready()
            wrk(server, 32, 1)  # exclude what the first request initializes
        rate, with_many = (wrk(server, 32, seconds).rate for server in (one, other))
        return with_many / rate


def monitor(checks: int, seconds: int) -> tuple[float, int]:
    """Return the share of a CPU that a monitor uses, and the bytes that its memory grows by."""
    command = [sys.executable, "-m", "benchmarks.apps.monitor", str(checks), str(seconds)]
    pinned = ["taskset", "--cpu-list", str(FIRST), *command]
    output = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout.split()
    return float(output[0]), int(output[1])
