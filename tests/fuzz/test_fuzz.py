"""The probes under attack, with fixed seeds. `make fuzz` uses random ones."""

import asyncio

import pytest

from tests.fuzz.conversation import Conversation
from tests.fuzz.dependency import Player
from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.prober import ProbeProcess
from tests.fuzz.recorder import RECORDERS, recorded
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
    async with ProbeProcess(ROOT, "asyncio", certificates.root) as child:
        for conversation in conversations:
            async with Player(conversation).serve() as port:
                answer = await child.run(conversation.target.order(port, 2))
            reasons = [reason for reason, _, _ in answer["outcomes"]]
            assert (conversation.name, *reasons) == (conversation.name, *conversation.reasons)


@pytest.mark.parametrize("seed", SEEDS)
async def test_mutated_conversations_cause_no_fault(
    conversations: list[Conversation], certificates: Certificates, seed: int
) -> None:
    """There is no crash, block, growth, leak, wrong pass or unknown reason."""
    async with Fuzzer(conversations, seed, ROOT, certificates.root) as fuzzer:
        for _ in range(ROUNDS):
            await fuzzer.round()
    assert fuzzer.findings == []
