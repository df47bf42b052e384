"""A typical hand-written route: it queries both stores concurrently for each request."""

import asyncio
from typing import Any

from fastapi import FastAPI, Response

from benchmarks.apps.stores import Stores


stores = Stores()
app = FastAPI(lifespan=stores.lifespan)


@app.get("/health/ready")
async def ready(response: Response) -> dict[str, Any]:
    """Query both stores, and answer 503 if one fails."""
    postgres, redis = await asyncio.gather(stores.query_postgres(), stores.ping_redis())
    response.status_code = 200 if postgres and redis else 503
    return {"postgres": postgres, "redis": redis}
