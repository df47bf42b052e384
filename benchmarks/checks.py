"""`make bench-checks`: the CPU time of one check of each kind, and of 200 checks.

Version 1.0 and Debian's prometheus-blackbox-exporter check the same servers for comparison.
"""

import http.client
import io
import json
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil

from benchmarks.answer import recorded_answer
from benchmarks.contenders import RAW, SERVE
from benchmarks.load import Sample, wrk
from benchmarks.markdown import table
from benchmarks.process import FIRST, SECOND, Server
from benchmarks.stores import Stores, run_stores
from tests.support.ports import free_port
from tests.support.tls_server import TlsServer


BLACKBOX = "prometheus-blackbox-exporter"

# As many HTTP checks as version 1.0 can have, at the default interval. One check that runs all the
# time pays for each wake-up of the process; these share them.
HTTP_30 = "http, 30 checks 1 s apart"

# The last commit without changes after version 1.0.0, and what it can check.
VERSION_1 = "021b35b"
KINDS_1 = ("postgresql", "redis", "http", HTTP_30)

# Seconds between two attempts: often enough that idle time does not count.
INTERVAL = 0.01

# The checks of the large file.
MANY = 200


@dataclass(frozen=True)
class CheckCosts:
    """The measurements.

    Attributes:
        cpu: seconds of CPU time per attempt, by the name of the program and the kind of check.
        share: of a core that the service uses with 200 checks.
        p99: seconds of a readiness answer at 32 connections, with 200 checks.
        growth: rate of readiness answers without details with 200 checks, divided by that with 2.
    """

    cpu: Mapping[str, Mapping[str, float]]
    share: float
    p99: float
    growth: float


class Blackbox:
    """Blackbox exporter on the first CPU while the block runs."""

    MODULES: Mapping[str, str] = {"http": "http_2xx", "tcp": "tcp_connect"}

    def __init__(self, stack: ExitStack) -> None:
        self._port = free_port()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        modules = {"http_2xx": {"prober": "http"}, "tcp_connect": {"prober": "tcp"}}
        (folder / "blackbox.yml").write_text(json.dumps({"modules": modules}))
        command = ["taskset", "--cpu-list", str(FIRST), BLACKBOX, "--log.level=error"]
        command += [f"--config.file={folder / 'blackbox.yml'}"]
        command += [f"--web.listen-address=127.0.0.1:{self._port}"]
        self._process = subprocess.Popen(command)
        stack.callback(self._process.wait)
        stack.callback(self._process.terminate)

    def measure(self, kind: str, target: str, seconds: float) -> float:
        """Return the CPU time per probe. Each probe must pass."""
        query = f"/probe?{urlencode({'module': self.MODULES[kind], 'target': target})}"
        connection = self._connect()
        before, attempts = self._cpu, round(seconds / INTERVAL)
        for _ in range(attempts):
            time.sleep(INTERVAL)
            connection.request("GET", query)
            if b"\nprobe_success 1\n" not in connection.getresponse().read():
                sys.exit(f"the {kind} probe of blackbox exporter fails")
        return (self._cpu - before) / attempts

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        deadline = time.monotonic() + 10
        while True:
            try:
                connection.connect()
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return connection

    @property
    def _cpu(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)


def extract_version_1(stack: ExitStack) -> Path | None:
    """Extract version 1.0 into a temporary folder; return None without the history of git."""
    command = ["git", "archive", VERSION_1, "app"]
    archive = subprocess.run(command, check=False, capture_output=True)
    if archive.returncode:
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return Path(folder)


def measure_attempts(
    settings: Mapping[str, str], seconds: float, folder: Path | None = None
) -> float:
    """Return the CPU time of `vitals serve` per attempt of its check. Each attempt must pass.

    Args:
        folder: the code of the service; that of this checkout by default.
    """
    often = {
        "CHECK_INTERVAL": str(INTERVAL),
        "CHECK_TIMEOUT": "10",
        "DRAIN_SECONDS": "0",
        **settings,
    }
    with Server(SERVE, often, folder=folder) as server:
        server.await_ready()
        count_attempts(server)  # exclude what the first scrape imports
        time.sleep(1)
        attempts, used = count_attempts(server), server.cpu
        time.sleep(seconds)
        used = server.cpu - used
        return used / (count_attempts(server) - attempts)


def count_attempts(server: Server) -> float:
    """Return how many attempts have passed, as the metrics count them. None may have failed."""
    with urlopen(f"http://127.0.0.1:{server.port}/metrics") as response:
        text = response.read().decode()
    runs = re.findall(r'health_check_runs_total{.*"(pass|fail)"} (.+)', text)
    if any(float(count) for result, count in runs if result == "fail"):
        sys.exit(f"a check fails: {runs}")
    return sum(float(count) for _, count in runs)


def issue_certificate(file: Path) -> Path:
    """Write a certificate of 127.0.0.1, which signs itself, and its key into a file."""
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-subj", "/CN=benchmark"]
    command += [
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    key = file.with_suffix(".key")
    subprocess.run([*command, "-out", file, "-keyout", key], check=True, capture_output=True)
    with file.open("a") as both:
        both.write(key.read_text())
    return file


def settings_by_kind(stores: Stores, target: Server, stack: ExitStack) -> dict[str, dict[str, str]]:
    """Return the settings of one check of each kind, whose server runs on *stack*."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    tls = stack.enter_context(TlsServer(issue_certificate(folder / "server.pem")))
    ca = {"ca": str(folder / "server.pem")}
    checks = {
        "http": {"url": target.url},
        "https": {"url": f"https://127.0.0.1:{tls.port}/", **ca},
        "tcp": {"url": f"tcp://127.0.0.1:{target.port}"},
        "tls": {"url": f"tls://127.0.0.1:{tls.port}", **ca},
    }
    names = {"postgresql": ("DATABASE_URL", "POSTGRES_"), "redis": ("REDIS_URL", "REDIS_PASSWORD")}
    found = {
        kind: {key: value for key, value in stores.environ.items() if key.startswith(starts)}
        for kind, starts in names.items()
    }
    variables = {kind: "HTTP_CHECKS" if kind in KINDS_1 else "CHECKS" for kind in checks}
    found |= {kind: {variables[kind]: json.dumps({kind: one})} for kind, one in checks.items()}
    many = {f"http{number}": checks["http"] for number in range(30)}
    return found | {HTTP_30: {"HTTP_CHECKS": json.dumps(many), "CHECK_INTERVAL": "1"}}


@contextmanager
def many_checks(target: Server, count: int) -> Iterator[dict[str, str]]:
    """Yield settings of so many checks, HTTP and TCP by turns, at an interval of 1 s."""
    urls = (target.url, f"tcp://127.0.0.1:{target.port}")
    lines = [f'[checks.c{number}]\nurl = "{urls[number % 2]}"' for number in range(count)]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write("\n".join(lines))
        file.flush()
        settings = {"CHECKS_FILE": file.name, "CHECK_INTERVAL": "1", "HEALTH_DETAILS": "never"}
        yield settings | {"DRAIN_SECONDS": "0", "LOG_LEVEL": "warning"}


def measure_many(target: Server, seconds: int) -> tuple[float, Sample, Sample]:
    """Return the share of a core without requests, and the load with 200 checks and with two."""
    samples = []
    share = 0.0
    for count in (2, MANY):
        with many_checks(target, count) as settings, Server(SERVE, settings) as server:
            server.await_ready()
            wrk(server, 32, 1)  # exclude what the first request initializes
            before, started = server.cpu, time.perf_counter()
            time.sleep(3 * seconds)
            share = (server.cpu - before) / (time.perf_counter() - started)
            samples.append(wrk(server, 32, seconds))
    few, many = samples
    return share, many, few


def measure(stores: Stores, environ: Mapping[str, str], rounds: int, seconds: int) -> CheckCosts:
    """Measure in rounds, and return medians. Each round measures each kind once."""
    cpu = defaultdict[str, defaultdict[str, list[float]]](partial(defaultdict, list))
    many = []
    with ExitStack() as stack:
        target = stack.enter_context(Server(RAW, environ, SECOND))
        kinds = settings_by_kind(stores, target, stack)
        old = extract_version_1(stack)
        exporter = Blackbox(stack) if shutil.which(BLACKBOX) else None
        targets = {"http": target.url, "tcp": f"127.0.0.1:{target.port}"}
        for _ in range(rounds):
            for kind, settings in kinds.items():
                cpu["Vitals"][kind].append(measure_attempts(settings, 2 * seconds))
                if old and kind in KINDS_1:
                    cpu["in 1.0"][kind].append(measure_attempts(settings, 2 * seconds, old))
                if exporter and kind in targets:
                    used = exporter.measure(kind, targets[kind], 2 * seconds)
                    cpu["blackbox exporter"][kind].append(used)
            many.append(measure_many(target, seconds))
    return CheckCosts(
        cpu={
            program: {kind: statistics.median(values) for kind, values in kinds.items()}
            for program, kinds in cpu.items()
        },
        share=statistics.median(share for share, _, _ in many),
        p99=statistics.median(with_many.p99 for _, with_many, _ in many),
        growth=statistics.median(with_many.rate / few.rate for _, with_many, few in many),
    )


def check_tables(costs: CheckCosts) -> str:
    """Return the table of the kinds, and that of 200 checks."""
    rows = [
        [kind, *(f"{1000 * one[kind]:.2f}" if kind in one else "" for one in costs.cpu.values())]
        for kind in costs.cpu["Vitals"]
    ]
    heads = ["CPU time of the process per check, ms", *costs.cpu]
    many = [
        ["share of a core, 1 s apart", f"{costs.share:.3f}"],
        ["readiness p99 at 32 connections, ms", f"{1000 * costs.p99:.2f}"],
        ["readiness without details / with 2 checks", f"{costs.growth:.3f}"],
    ]
    return "\n".join([table(heads, rows), table([f"{MANY} checks, HTTP and TCP", "figure"], many)])


def main() -> None:
    """Measure, and print the tables."""
    with run_stores() as stores, recorded_answer(stores.environ) as environ:
        print(check_tables(measure(stores, environ, rounds=5, seconds=1)))


if __name__ == "__main__":
    main()
