"""Connection pools for the contenders, as an application would have them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from redis.asyncio import Redis


POSTGRES, REDIS = os.environ["POSTGRES_DSN"], os.environ["REDIS_DSN"]

# Seconds that a query may take, as in the service.
TIMEOUT = 1.0


class Stores:
    """A pool for each store, open while the application serves."""

    postgres: asyncpg.Pool
    redis: Redis

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Open both pools, and close them on exit."""
        self.redis = Redis.from_url(REDIS, socket_timeout=TIMEOUT)
        async with asyncpg.create_pool(POSTGRES, max_size=10, command_timeout=TIMEOUT) as pool:
            self.postgres = pool
            yield
        await self.redis.aclose()

    async def query_postgres(self) -> bool:
        """Return whether PostgreSQL answers."""
        try:
            await self.postgres.fetchval("SELECT 1", timeout=TIMEOUT)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        return True

    async def ping_redis(self) -> bool:
        """Return whether Redis answers."""
        return bool(await self.redis.ping())
