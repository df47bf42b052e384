"""Admission starts one request in each iteration of the event loop."""

import asyncio
import time

from app.event_loop import SHORT_REQUEST, Admission


async def test_one_request_starts_in_each_iteration_of_the_loop() -> None:
    """In the order of arrival, even if many arrive at once."""
    admission, started, iteration = Admission(99), list[tuple[int, int]](), 0

    async def request(number: int) -> None:
        assert await admission.acquire()
        started.append((number, iteration))

    requests = [asyncio.create_task(request(number)) for number in range(50)]
    while not all(one.done() for one in requests):
        await asyncio.sleep(0)
        iteration += 1
    assert [number for number, _ in started] == list(range(50))
    assert len({at for _, at in started}) == 50


async def test_a_long_request_is_followed_by_an_equally_long_pause() -> None:
    """Such requests get half of the event loop's time at most."""
    admission, times = Admission(999), list[float]()

    async def request() -> None:
        await admission.acquire()
        times.append(time.perf_counter())
        time.sleep(10 * SHORT_REQUEST)  # noqa: ASYNC251 - blocks the loop as rendering a page does
        times.append(time.perf_counter())

    await asyncio.gather(request(), request())
    _, end, begin, _ = times
    assert begin - end > 9 * SHORT_REQUEST


async def test_requests_are_rejected_when_the_queue_is_full() -> None:
    """A request that is cancelled while it waits frees its place."""
    admission = Admission(2)
    assert await admission.acquire()
    waiting = [asyncio.create_task(admission.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    assert waiting[2].done()
    assert not waiting[2].result()
    waiting[0].cancel()
    async with asyncio.timeout(5):
        assert await waiting[1]
        assert await admission.acquire()
