"""The pools that the contenders ask, as an application has them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from redis.asyncio import Redis


POSTGRES, REDIS = os.environ["POSTGRES_DSN"], os.environ["REDIS_DSN"]

# Seconds that a question may take, as with the service.
TIMEOUT = 1.0


class Stores:
    """A pool of each, open while the application serves."""

    postgres: asyncpg.Pool
    redis: Redis

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Open both, and close them."""
        self.redis = Redis.from_url(REDIS, socket_timeout=TIMEOUT)
        async with asyncpg.create_pool(POSTGRES, max_size=10, command_timeout=TIMEOUT) as pool:
            self.postgres = pool
            yield
        await self.redis.aclose()

    async def ask_postgres(self) -> bool:
        """Whether PostgreSQL answers."""
        try:
            await self.postgres.fetchval("SELECT 1", timeout=TIMEOUT)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        return True

    async def ask_redis(self) -> bool:
        """Whether Redis answers."""
        return bool(await self.redis.ping())
