"""dockerflow's heartbeat, with a check for each store."""

from dockerflow import checks
from dockerflow.fastapi import router
from fastapi import FastAPI

from benchmarks.apps.stores import Stores


stores = Stores()
app = FastAPI(lifespan=stores.lifespan)
app.include_router(router)


@checks.register
async def postgres() -> list[checks.CheckMessage]:
    """Check PostgreSQL."""
    return [] if await stores.query_postgres() else [checks.Error("no answer", id="postgres")]


@checks.register
async def redis() -> list[checks.CheckMessage]:
    """Check Redis."""
    return [] if await stores.ping_redis() else [checks.Error("no answer", id="redis")]
