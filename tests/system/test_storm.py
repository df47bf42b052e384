"""Dependencies that attack, one by one and all at once, affect only their own checks."""

import itertools
import os
import random
import re
import time
from pathlib import Path

import pytest

from tests.service.hostile.tls_certificates import write_certificates
from tests.system.storm import (
    PLAIN,
    SECURE,
    Groups,
    HostileRun,
    attacks,
    hostile_run,
    p99_with_backlog,
)
from tests.system.test_load import MIB, memory


pytestmark = pytest.mark.alone

# Seconds of attacks, without and with TLS. STORM_SECONDS=3600 runs each attack many times.
SECONDS = float(os.environ.get("STORM_SECONDS", "36"))
ONE_BY_ONE, AT_ONCE = SECONDS * 0.6, SECONDS * 0.2

# Limits that hold under any attack.
MAX_P99 = 0.05
MAX_MEMORY = 150 * MIB
MAX_GROWTH = 10 * MIB


def attack_one_by_one(run: HostileRun, rng: random.Random) -> None:
    """Attack one check after another, each time with another attack."""
    candidates = {check: itertools.cycle(attacks(run.groups, check, rng)) for check in run.groups}
    end = time.monotonic() + ONE_BY_ONE
    for check in itertools.cycle(candidates):
        if time.monotonic() > end:
            break
        name, attack = next(candidates[check])
        # Other work may stall the machine, but not in every attempt.
        if not any(run.attack(check, name, attack) < MAX_P99 for _ in range(3)):
            run.problems.append(f"{name}: liveness is slow")


@pytest.mark.parametrize("groups", [PLAIN, SECURE], ids=["plain", "tls"])
def test_hostile_dependencies_affect_only_their_own_checks(groups: Groups, tmp_path: Path) -> None:
    """Liveness is fast, memory is stable, and exactly the attacked checks fail, for their reasons.

    SIGTERM during the attacks drains the service.
    """
    rng = random.Random(26)
    write_certificates(tmp_path)
    with hostile_run(groups, tmp_path) as run:
        attack_one_by_one(run, rng)
        replies = run.attack_all(AT_ONCE, rng)
        before = memory(run.service, "VmRSS")
        replies += run.attack_all(AT_ONCE, rng)
        grown = memory(run.service, "VmRSS") - before
        peak = memory(run.service, "VmHWM")
        run.service.process.terminate()
        assert run.service.process.wait(10) == 0
    slowest, p99 = sorted(run.latencies, reverse=True)[:5], p99_with_backlog(replies)
    print(f"{len(run.latencies)} attacks, {slowest=}, all: {p99:.3f} s, {peak=}, {grown=}")  # noqa: T201
    assert run.problems == []
    assert {reply.code for reply in replies} == {200}
    assert p99 < MAX_P99
    assert peak < MAX_MEMORY
    assert grown < MAX_GROWTH
    log = run.service.log.read_text()
    assert not re.search(r"check status changed.*honest[^\n]*to\W+fail", log)
