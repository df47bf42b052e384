"""Runs a service on one CPU, and dependencies that attack it on another."""

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.health import Reason
from tests.service.hostile.attacks import MANY, SINGLE
from tests.service.hostile.client import Attack
from tests.service.hostile.postgres_server import PASSWORD
from tests.service.hostile.process import Hostile, hostile
from tests.service.hostile.tls_certificates import ROOT
from tests.support.service import SERVE, Prober, Reply, Service, running


# Seconds, as is BOUND: the time from the start of an attack until the check must be red. It allows
# for one more attempt, as an open session may have got a valid answer just before.
INTERVAL, TIMEOUT = 1.0, 1.0
BOUND = 2 * (INTERVAL + TIMEOUT) + 1

# Seconds that an attack continues after its detection, and the numbers of HTTP checks with hostile
# and with honest servers.
LASTING = 0.2
HOSTILE, HONEST = 9, 18

# Attacks that reproduce known bugs; they come first.
FIRST = (
    "C of -1 bytes", "a gigabyte of C in question", "error of 20 MB", "b'2147483647' iterations",
    "flood of notices in question", "flood of parameters in welcome", "a surplus answer",
    "2147483647 elements", "512 MB", "an error of 20 MB", "100000 nested arrays", "a surplus PONG",
    "a head without an end", "line ends", "DHE with 8192 bits", "a chain of 100 KB",
    "requests for new keys", "honest with 600000 iterations", "a body of a gigabyte",
    "a group of 8192 bits",
)  # fmt: skip

# Answers that are valid but expensive to process.
EXPENSIVE = ("honest with 600000 iterations", "a body of a gigabyte", "a group of 8192 bits")

Groups = Mapping[str, tuple[str, ...]]

# Groups of attacks for each check, and those whose names begin so: `web` is for `web-1` too.
PLAIN: Groups = {
    "postgres": ("postgres", "messages", "scram"),
    "redis": ("redis",),
    "web": ("http",),
}
SECURE: Groups = {"postgres": ("postgres over TLS",), "redis": ("rediss",), "web": ("https",)}

# Assumed requests per second; each of them waits while the service is blocked.
PACE = 100


def p99_with_backlog(replies: list[Reply]) -> float:
    """Return the seconds within which 99 of 100 requests are answered.

    The prober sends a request when the previous one is answered. Requests that other clients would
    have sent meanwhile count too; otherwise a pause of one second would count as one late answer.
    """
    waited = [
        reply.seconds - missed / PACE
        for reply in replies
        for missed in range(int(reply.seconds * PACE) + 1)
    ]
    return sorted(waited)[int(len(waited) * 0.99)]


@contextlib.contextmanager
def pinned(processor: int) -> Iterator[None]:
    """Pin this thread, and the threads that it starts, to one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def kind(check: str) -> str:
    """Return the key in `Groups` of a check."""
    return check.partition("-")[0]


def attacks(groups: Groups, check: str, rng: random.Random) -> list[tuple[str, Attack]]:
    """Return the attacks on a check in random order, reproductions of known bugs first."""
    found = [
        (f"{group}: {name}", attack)
        for group in groups[kind(check)]
        for name, attack in {**SINGLE, **MANY}[group][1].items()
        if attack.require == "query" and (attack.reason or name in EXPENSIVE)
    ]
    shuffled = rng.sample(found, len(found))
    return sorted(shuffled, key=lambda one: not one[0].partition(": ")[2].startswith(FIRST))


@dataclass(slots=True)
class HostileRun:
    """A service under attack, and the results.

    Attributes:
        ports: port of the hostile server of each attacked check.
        problems: unexpected results.
        latencies: p99 of liveness in seconds during each attack, with the name of the attack.
    """

    service: Service
    hostile: Hostile
    groups: Groups
    ports: Mapping[str, int]
    problems: list[str] = field(default_factory=list)
    latencies: list[tuple[float, str]] = field(default_factory=list)

    def attack(self, check: str, name: str, attack: Attack) -> float:
        """Attack one check, record problems, and return the p99 of liveness in seconds."""
        with Prober(self.service, "/health/live") as prober:
            self.hostile.play(name, self.ports[check])
            if attack.reason is None:
                time.sleep(INTERVAL + TIMEOUT)  # let attempts end that the switch cut off
            try:
                self.service.until(check, attack.reason and attack.reason.value, BOUND)
            except AssertionError as error:
                self.problems.append(f"{name}: {error}")
            time.sleep(LASTING)
            self.compare({check: {attack.reason}}, name)
        self.hostile.play(f"{self.groups[check][0]}: honest", self.ports[check])
        self.service.until(check, None, 3 * BOUND)
        if attack.reason is None:
            time.sleep(INTERVAL + TIMEOUT)  # as above: the check has passed all the time
        self.latencies.append((p99_with_backlog(prober.replies), name))
        return self.latencies[-1][0]

    def attack_all(self, seconds: float, rng: random.Random) -> list[Reply]:
        """Attack all checks at once with random attacks; return the replies of liveness."""
        ends = time.monotonic() + seconds
        with Prober(self.service, "/health/live") as prober:
            while time.monotonic() < ends:
                expected = {}
                for check, port in self.ports.items():
                    candidates = attacks(self.groups, check, rng)
                    name, attack = next(one for one in candidates if one[1].reason)
                    self.hostile.play(name, port)
                    # The hostile servers share a CPU, so some attacks arrive too late.
                    expected[check] = {attack.reason, Reason.TIMEOUT, Reason.CONNECT_TIMEOUT}
                time.sleep(BOUND)
                self.compare(expected, "all at once")
        return prober.replies

    def compare(self, attacked: Mapping[str, set[Reason | None]], name: str) -> None:
        """Record the checks whose result is unexpected."""
        for check, result in self.service.ask("/health").json["checks"].items():
            reason = result.get("reason") if result["status"] != "pass" else None
            expected = attacked.get(check, {None})
            if reason not in expected:
                self.problems.append(f"{name}: {check} is {reason or 'pass'}")


@contextlib.contextmanager
def hostile_run(groups: Groups, folder: Path) -> Iterator[HostileRun]:
    """Run a service with honest and hostile dependencies; all checks pass at first."""
    available = sorted(os.sched_getaffinity(0))
    service_cpu, other_cpu = available[0], available[-1]
    nice = ("taskset", "--cpu-list", str(other_cpu), "nice", "-n", "5")
    with pinned(other_cpu), hostile(folder) as honest, hostile(folder, *nice) as attacker:
        web = groups["web"][0]
        checks = [*groups, *(f"web-{number}" for number in range(1, HOSTILE))]
        ports = {check: attacker.play(f"{groups[kind(check)][0]}: honest") for check in checks}
        urls = {name: f"{web}://127.0.0.1:{port}/" for name, port in ports.items()}
        for number in range(HONEST):
            urls[f"honest-{number}"] = f"{web}://127.0.0.1:{honest.play(f'{web}: honest')}/"
        environ = settings(groups, folder, ports, urls)
        command = ("taskset", "--cpu-list", str(service_cpu), *SERVE)
        with running(environ, folder / "log", command) as service:
            run = HostileRun(service, attacker, groups, ports)
            for check in ports:
                service.until(check, None, 10)
            yield run


def settings(
    groups: Groups, folder: Path, ports: Mapping[str, int], urls: Mapping[str, str]
) -> dict[str, str]:
    """Return the settings of the service."""
    (folder / "password").write_text(PASSWORD)
    secure = groups is SECURE
    tls = f"?sslmode=verify-full&sslrootcert={folder / ROOT}" if secure else ""
    scheme, root = ("rediss", f"?ssl_ca_certs={folder / ROOT}") if secure else ("redis", "")
    web = {name: {"url": url} for name, url in urls.items() if name not in {"postgres", "redis"}}
    return {
        "CHECK_INTERVAL": str(INTERVAL),
        "CHECK_TIMEOUT": str(TIMEOUT),
        "RECONNECT_INTERVAL": "2",
        "DRAIN_SECONDS": "1",
        "DATABASE_URL": f"postgresql://vitals@127.0.0.1:{ports['postgres']}/db{tls}",
        "POSTGRES_PASSWORD_FILE": str(folder / "password"),
        "REDIS_URL": f"{scheme}://127.0.0.1:{ports['redis']}/0{root}",
        "REDIS_PASSWORD_FILE": str(folder / "password"),
        "HTTP_CHECKS": json.dumps(web),
        "SSL_CERT_FILE": str(folder / ROOT),
    }
