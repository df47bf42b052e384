import asyncpg
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from tests.support.faults.fault import Blackhole, Corrupt, Cut, Fault, Refuse, Reset, Silent
from tests.support.faults.proxy import HOST, Proxy


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Refuse(), ConnectionRefusedError),
        (Silent(), TimeoutError),
        (Blackhole(), TimeoutError),
        (Reset(), ConnectionError),
    ],
    ids=str,
)
async def test_asyncpg_raises_the_error_of_the_fault(
    proxy: Proxy, fault: Fault, error: type[Exception]
) -> None:
    """It is the error that a PostgreSQL in that state would cause."""
    proxy.break_with(fault)
    timeout = 0.2 if error is TimeoutError else 5
    with pytest.raises(error):
        await asyncpg.connect(host=HOST, port=proxy.port, user="x", timeout=timeout)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Reset(1), RedisConnectionError),
        (Cut(1), RedisConnectionError),
        (Corrupt(), InvalidResponse),
    ],
    ids=str,
)
async def test_redis_py_raises_the_error_of_the_fault(
    proxy: Proxy, fault: Fault, error: type[Exception]
) -> None:
    """The fault hits a connection that worked before, and redis-py recovers after the repair."""
    async with Redis(
        host=HOST, port=proxy.port, protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0)
    ) as redis:
        assert await redis.ping()
        proxy.break_with(fault)
        with pytest.raises(error):
            await redis.ping()
        proxy.heal()
        assert await redis.ping()
