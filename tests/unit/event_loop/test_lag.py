import asyncio

from app.event_loop import MEASURE_EVERY, WINDOW, LoopLag
from tests.support.fakes import block, simulate


def test_the_worst_lag_is_reported_for_a_minute() -> None:
    """A scrape every minute misses nothing."""

    async def main() -> None:
        lag = LoopLag()
        with lag.measure():
            await asyncio.sleep(MEASURE_EVERY * 1.5)
            assert lag.worst() == 0
            block(MEASURE_EVERY * 2.5)
            await asyncio.sleep(MEASURE_EVERY)
            assert lag.worst() == MEASURE_EVERY * 2
            await asyncio.sleep(WINDOW - 1)
            assert lag.worst() == MEASURE_EVERY * 2
            await asyncio.sleep(1)
            assert lag.worst() == 0

    simulate(main())


def test_measuring_stops_at_the_end_of_the_block() -> None:
    """No timer is left on the event loop."""

    async def main() -> None:
        lag = LoopLag()
        with lag.measure():
            await asyncio.sleep(1)
        block(2)
        await asyncio.sleep(1)
        assert lag.worst() == 0

    simulate(main())
