import time

from tests.support.faults.fault import Silent, Slow
from tests.support.faults.peer import SILENCE, connect, expect, send
from tests.support.faults.proxy import Proxy


REQUEST = b"0123456789"


async def test_slow_pauses_before_each_part(proxy: Proxy) -> None:
    """Ten bytes in parts of three take four pauses."""
    proxy.break_with(Slow(3, 0.04))
    with connect(proxy.port) as client:
        sent = time.monotonic()
        send(client, REQUEST)
        await expect(client, REQUEST)
        assert time.monotonic() - sent >= 4 * 0.04 + SILENCE


async def test_another_fault_ends_a_pause(proxy: Proxy) -> None:
    """The next fault takes over the data held back; it arrives at once after the repair."""
    proxy.break_with(Slow(1, 60))
    with connect(proxy.port) as client:
        send(client, REQUEST)
        await expect(client, b"")
        proxy.break_with(Silent())
        await expect(client, b"")
        proxy.heal()
        await expect(client, REQUEST)
