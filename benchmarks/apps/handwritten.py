"""The route that most write by hand: it asks both stores, at the same time, at each request."""

import asyncio
from typing import Any

from fastapi import FastAPI, Response

from benchmarks.apps.stores import Stores


stores = Stores()
app = FastAPI(lifespan=stores.lifespan)


@app.get("/health/ready")
async def ready(response: Response) -> dict[str, Any]:
    """Ask, and tell."""
    postgres, redis = await asyncio.gather(stores.ask_postgres(), stores.ask_redis())
    response.status_code = 200 if postgres and redis else 503
    return {"postgres": postgres, "redis": redis}
