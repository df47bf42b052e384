"""A service on one processor, and on the other the dependencies that attack it."""

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.health import Reason
from tests.hostile.attacks import MANY, SINGLE
from tests.hostile.client import Attack
from tests.hostile.postgres_server import PASSWORD
from tests.hostile.process import Hostile, hostile
from tests.hostile.tls_certificates import ROOT
from tests.service import SERVE, Prober, Reply, Service, running
from tests.system.lateness import late


# Seconds. A check is red this long after an attack has begun, at the latest: a session that
# was answered well before counts as one attempt more.
INTERVAL, TIMEOUT = 1.0, 1.0
BOUND = 2 * (INTERVAL + TIMEOUT) + 1

# How long an attack goes on after it was noticed, and how many checks are attacked at once.
LASTING = 0.2
ATTACKED, CALM = 9, 18

# The reproductions that began this, which come first.
FIRST = (
    "C of -1 bytes", "a gigabyte of C in question", "error of 20 MB", "b'2147483647' iterations",
    "flood of notices in question", "flood of parameters in welcome", "a surplus answer",
    "2147483647 elements", "512 MB", "an error of 20 MB", "100000 nested arrays", "a surplus PONG",
    "a head without an end", "line ends", "DHE with 8192 bits", "a chain of 100 KB",
    "requests for new keys", "honest with 600000 iterations", "a body of a gigabyte",
    "a group of 8192 bits",
)  # fmt: skip

# What passes and costs work.
LABORIOUS = ("honest with 600000 iterations", "a body of a gigabyte", "a group of 8192 bits")

Groups = Mapping[str, tuple[str, ...]]

# The attacks that each check meets.
PLAIN: Groups = {
    "postgres": ("postgres", "messages", "scram"),
    "redis": ("redis",),
    "web-0": ("http",),
}
SECURE: Groups = {"postgres": ("postgres over TLS",), "redis": ("rediss",), "web-0": ("https",)}


def processors() -> tuple[int, int]:
    """Return the processor of the service, and that of everything else."""
    known = sorted(os.sched_getaffinity(0))
    return known[0], known[-1]


@contextlib.contextmanager
def pinned(processor: int) -> Iterator[None]:
    """Run this thread, and those that it starts, on one processor."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def attacks(groups: Groups, check: str, dice: random.Random) -> list[tuple[str, Attack]]:
    """Return the attacks that a check can meet, in a random order."""
    found = [
        (f"{group}: {name}", attack)
        for group in groups[check]
        for name, attack in {**SINGLE, **MANY}[group][1].items()
        if attack.require == "query" and (attack.reason or name in LABORIOUS)
    ]
    shuffled = dice.sample(found, len(found))
    return sorted(shuffled, key=lambda one: not one[0].partition(": ")[2].startswith(FIRST))


@dataclass(slots=True)
class Storm:
    """What goes on, and what was seen.

    Attributes:
        ports: where each attacked check is served.
        wrong: what should not have happened.
        late: how late liveness was during each attack, with its name.

    """

    service: Service
    hostile: Hostile
    groups: Groups
    ports: Mapping[str, int]
    wrong: list[str] = field(default_factory=list)
    late: list[tuple[float, str]] = field(default_factory=list)

    def calm(self, check: str) -> None:
        """End the attack on a check, and wait until it passes."""
        kind = self.kind(check)
        self.hostile.play(f"{kind}: honest", self.ports[check])
        self.service.until(check, None, 3 * BOUND)

    def kind(self, check: str) -> str:
        """Return the first group of attacks that a check meets."""
        return self.groups["web-0" if check.startswith("web") else check][0]

    def attack(self, check: str, name: str, attack: Attack) -> float:
        """Attack one check, keep what is wrong with the checks, return how late liveness was."""
        with Prober(self.service, "/health/live") as prober:
            self.hostile.play(name, self.ports[check])
            if attack.reason is None:
                time.sleep(INTERVAL + TIMEOUT)  # attempts that were cut off are over
            try:
                self.service.until(check, attack.reason and attack.reason.value, BOUND)
            except AssertionError as error:
                self.wrong.append(f"{name}: {error}")
            time.sleep(LASTING)
            self.compare({check: {attack.reason}}, name)
        self.calm(check)
        self.late.append((late(prober.replies), name))
        return self.late[-1][0]

    def rage(self, seconds: float, dice: random.Random) -> list[Reply]:
        """Attack all checks at once, each time in another way; return what liveness answered."""
        ends = time.monotonic() + seconds
        with Prober(self.service, "/health/live") as prober:
            while time.monotonic() < ends:
                chosen = {}
                for check, port in self.ports.items():
                    known = attacks(self.groups, "web-0" if check[:3] == "web" else check, dice)
                    name, attack = next(one for one in known if one[1].reason)
                    self.hostile.play(name, port)
                    # So many share a processor that some of it comes too late.
                    chosen[check] = {attack.reason, Reason.TIMEOUT, Reason.CONNECT_TIMEOUT}
                time.sleep(BOUND)
                self.compare(chosen, "all at once")
        return prober.replies

    def compare(self, attacked: Mapping[str, set[Reason | None]], name: str) -> None:
        """Keep which checks are not as they should be."""
        for check, seen in self.service.ask("/health").json["checks"].items():
            reason = seen.get("reason") if seen["status"] != "pass" else None
            expected = attacked.get(check, {None})
            if reason not in expected:
                self.wrong.append(f"{name}: {check} is {reason or 'pass'}")


@contextlib.contextmanager
def storm(groups: Groups, folder: Path) -> Iterator[Storm]:
    """Run a service, its honest dependencies, and those that will attack; all pass at first."""
    own, other = processors()
    nice = ("taskset", "--cpu-list", str(other), "nice", "-n", "5")
    with pinned(other), hostile(folder) as calm, hostile(folder, *nice) as raging:
        web = groups["web-0"][0]
        checks = ["postgres", "redis", *(f"web-{number}" for number in range(ATTACKED))]
        kinds = [groups.get(check, groups["web-0"])[0] for check in checks]
        ports = {
            check: raging.play(f"{kind}: honest") for check, kind in zip(checks, kinds, strict=True)
        }
        urls = {name: f"{web}://127.0.0.1:{port}/" for name, port in ports.items()}
        for number in range(CALM):
            urls[f"calm-{number}"] = f"{web}://127.0.0.1:{calm.play(f'{web}: honest')}/"
        environ = settings(groups, folder, ports, urls)
        command = ("taskset", "--cpu-list", str(own), *SERVE)
        with running(environ, folder / "log", command) as service:
            started = Storm(service, raging, groups, ports)
            for check in ports:
                service.until(check, None, 10)
            yield started


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
