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
    """Ask PostgreSQL."""
    return [] if await stores.ask_postgres() else [checks.Error("no answer", id="postgres")]


@checks.register
async def redis() -> list[checks.CheckMessage]:
    """Ask Redis."""
    return [] if await stores.ask_redis() else [checks.Error("no answer", id="redis")]
