"""Requests begin one after another, so that the loop does other work in between."""

import asyncio
import time

from app.event_loop import SHORT_REQUEST, Admission


async def test_one_request_begins_in_a_turn_of_the_loop() -> None:
    """In the order of their arrival, however many have arrived at once."""
    admission, begun, turn = Admission(99), list[tuple[int, int]](), 0

    async def request(number: int) -> None:
        assert await admission.admitted()
        begun.append((number, turn))

    requests = [asyncio.create_task(request(number)) for number in range(50)]
    while not all(one.done() for one in requests):
        await asyncio.sleep(0)
        turn += 1
    assert [number for number, _ in begun] == list(range(50))
    assert len({at for _, at in begun}) == 50


async def test_a_long_request_is_followed_by_as_long_a_pause() -> None:
    """So that at most half of the time goes to requests of this kind."""
    admission, times = Admission(999), list[float]()

    async def request() -> None:
        await admission.admitted()
        times.append(time.perf_counter())
        time.sleep(10 * SHORT_REQUEST)  # noqa: ASYNC251 - as rendering does
        times.append(time.perf_counter())

    await asyncio.gather(request(), request())
    _, end, begin, _ = times
    assert begin - end > 9 * SHORT_REQUEST


async def test_requests_beyond_the_room_are_refused() -> None:
    """Those that gave up waiting leave room, and hold up none of the others."""
    admission = Admission(2)
    assert await admission.admitted()
    waiting = [asyncio.create_task(admission.admitted()) for _ in range(3)]
    await asyncio.sleep(0)
    assert waiting[2].done()
    assert not waiting[2].result()
    waiting[0].cancel()
    async with asyncio.timeout(5):
        assert await waiting[1]
        assert await admission.admitted()
