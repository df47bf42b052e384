"""Dependencies that attack, one after another and all at once: the service stays as it was."""

import itertools
import os
import random
import re
import time
from pathlib import Path

import pytest

from tests.hostile.tls_certificates import write_certificates
from tests.system.lateness import late
from tests.system.storm import PLAIN, SECURE, Groups, Storm, attacks, storm
from tests.system.test_load import MIB, memory


# Seconds of attacks in each deployment. STORM_SECONDS=3600 tries every attack many times.
SECONDS = float(os.environ.get("STORM_SECONDS", "36"))
ONE_BY_ONE, AT_ONCE = SECONDS * 0.6, SECONDS * 0.2

# What holds whatever a dependency sends.
MAX_P99 = 0.05
MAX_MEMORY = 150 * MIB
MAX_GROWTH = 10 * MIB


def attack_one_by_one(seen: Storm, dice: random.Random) -> None:
    """Attack one check after another, each time in another way."""
    known = {check: itertools.cycle(attacks(seen.groups, check, dice)) for check in seen.groups}
    ends = time.monotonic() + ONE_BY_ONE
    for check in itertools.cycle(known):
        if time.monotonic() > ends:
            break
        name, attack = next(known[check])
        # Other work may hold up the machine, but not each time.
        if not any(seen.attack(check, name, attack) < MAX_P99 for _ in range(3)):
            seen.wrong.append(f"{name}: liveness is late")


@pytest.mark.parametrize("groups", [PLAIN, SECURE], ids=["plain", "tls"])
def test_a_storm_of_dependencies_moves_nothing_else(groups: Groups, tmp_path: Path) -> None:
    """Liveness is prompt, memory stays, each attacked check is red for its reason, and no other.

    A SIGTERM in the middle of it drains.
    """
    dice = random.Random(26)
    write_certificates(tmp_path)
    with storm(groups, tmp_path) as seen:
        attack_one_by_one(seen, dice)
        replies = seen.rage(AT_ONCE, dice)
        before = memory(seen.service, "VmRSS")
        replies += seen.rage(AT_ONCE, dice)
        grown = memory(seen.service, "VmRSS") - before
        peak = memory(seen.service, "VmHWM")
        seen.service.process.terminate()
        assert seen.service.process.wait(10) == 0
    latest = sorted(seen.late, reverse=True)[:5]
    print(f"{len(seen.late)} attacks, {latest=}, all: {late(replies):.3f} s, {peak=}, {grown=}")  # noqa: T201
    assert seen.wrong == []
    assert {reply.code for reply in replies} == {200}
    assert late(replies) < MAX_P99
    assert peak < MAX_MEMORY
    assert grown < MAX_GROWTH
    assert not re.search(r"check status changed.*calm[^\n]*to\W+fail", seen.service.log.read_text())
