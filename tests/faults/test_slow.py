import time

from tests.faults.fault import Silent, Slow
from tests.faults.peer import SILENCE, Peer
from tests.faults.proxy import Proxy


ASKED = b"0123456789"


async def test_slow_pauses_before_each_part(proxy: Proxy) -> None:
    """Ten bytes, three at a time, are four pauses."""
    proxy.break_with(Slow(3, 0.04))
    async with Peer.to(proxy.port) as client:
        asked = time.monotonic()
        client.says(ASKED)
        await client.hears(ASKED)
        assert time.monotonic() - asked >= 4 * 0.04 + SILENCE


async def test_another_fault_ends_a_pause(proxy: Proxy) -> None:
    """What slowness held back is the next fault's, and comes at once after the repair."""
    proxy.break_with(Slow(1, 60))
    async with Peer.to(proxy.port) as client:
        client.says(ASKED)
        await client.hears(b"")
        proxy.break_with(Silent())
        await client.hears(b"")
        proxy.heal()
        await client.hears(ASKED)
