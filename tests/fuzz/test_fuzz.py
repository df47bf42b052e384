"""The probes under attack, with fixed seeds; `make fuzz` goes on with others."""

import asyncio
from pathlib import Path

import pytest

from tests.fuzz.conversation import Conversation
from tests.fuzz.dependency import Lane
from tests.fuzz.fuzzer import Fuzzer
from tests.fuzz.prober import Prober
from tests.fuzz.recorder import RECORDERS, recorded
from tests.fuzz.tls import player
from tests.service import ROOT
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


async def test_an_unchanged_conversation_ends_as_it_was_recorded(
    conversations: list[Conversation], certificates: Certificates
) -> None:
    """What is played is what a real server says, up to the last turn."""
    async with Prober(ROOT, "asyncio", certificates.root) as prober, Lane() as lane:
        for conversation in conversations:
            lane.play = player(conversation, None)
            order = conversation.question.order(0, lane.port, 2)
            reasons = [reason for reason, _, _ in await prober.ask(order)]
            assert (conversation.name, *reasons) == (conversation.name, *conversation.reasons)


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_probes_bear_whatever_a_dependency_sends(
    conversations: list[Conversation], certificates: Certificates, seed: int
) -> None:
    """No crash, no block, no growth, nothing left behind, no wrong pass and no unknown reason."""
    prober = Path(ROOT), certificates.root
    fuzzer = Fuzzer(conversations, seed, lambda loop: Prober(prober[0], loop, prober[1]))
    async with fuzzer:
        for _ in range(ROUNDS):
            await fuzzer.round()
    assert fuzzer.findings == []
