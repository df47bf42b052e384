import asyncio

from app.event_loop import MEASURE_EVERY, WINDOW, LoopLag
from tests.fakes import block, simulate


def test_the_worst_delay_is_told_for_a_minute() -> None:
    """A scrape every minute misses nothing, and what is over is over."""

    async def story() -> None:
        lag = LoopLag()
        with lag.measured():
            await asyncio.sleep(MEASURE_EVERY * 1.5)
            assert lag.worst() == 0
            block(MEASURE_EVERY * 2.5)
            await asyncio.sleep(MEASURE_EVERY)
            assert lag.worst() == MEASURE_EVERY * 2
            await asyncio.sleep(WINDOW - 1)
            assert lag.worst() == MEASURE_EVERY * 2
            await asyncio.sleep(1)
            assert lag.worst() == 0

    simulate(story())


def test_nothing_is_measured_any_more_afterwards() -> None:
    """The loop is left as it was found."""

    async def story() -> None:
        lag = LoopLag()
        with lag.measured():
            await asyncio.sleep(1)
        block(2)
        await asyncio.sleep(1)
        assert lag.worst() == 0

    simulate(story())
