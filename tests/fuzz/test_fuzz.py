"""The probes under attack, with fixed seeds. `make fuzz` uses random ones."""

import asyncio
from pathlib import Path

import pytest

from tests.fuzz.conversation import Conversation
from tests.fuzz.dependency import Lane
from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.prober import ProbeProcess
from tests.fuzz.recorder import RECORDERS, recorded
from tests.fuzz.tls import player
from tests.support.service import ROOT
from tests.system.certificates import Certificates


pytestmark = pytest.mark.alone

# An odd seed runs on uvloop, an even one on asyncio.
SEEDS, ROUNDS = (1, 2), 2


@pytest.fixture(name="certificates", scope="module")
def _certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(name="conversations", scope="module", params=RECORDERS)
def _conversations(
    request: pytest.FixtureRequest, certificates: Certificates
) -> list[Conversation]:
    return asyncio.run(recorded(request.param, ROOT, certificates))


async def test_an_unchanged_conversation_has_the_recorded_reasons(
    conversations: list[Conversation], certificates: Certificates
) -> None:
    """The replay matches a real server up to the last turn."""
    async with ProbeProcess(ROOT, "asyncio", certificates.root) as probe_process, Lane() as lane:
        for conversation in conversations:
            lane.play = player(conversation, None)
            order = conversation.target.order(0, lane.port, 2)
            reasons = [reason for reason, _, _ in await probe_process.run(order)]
            assert (conversation.name, *reasons) == (conversation.name, *conversation.reasons)


@pytest.mark.parametrize("seed", SEEDS)
async def test_mutated_conversations_cause_no_fault(
    conversations: list[Conversation], certificates: Certificates, seed: int
) -> None:
    """There is no crash, block, growth, leak, wrong pass or unknown reason."""
    probe_process = Path(ROOT), certificates.root
    fuzzer = Fuzzer(
        conversations, seed, lambda loop: ProbeProcess(probe_process[0], loop, probe_process[1])
    )
    async with fuzzer:
        for _ in range(ROUNDS):
            await fuzzer.round()
    assert fuzzer.findings == []
