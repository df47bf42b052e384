"""fastapi-health, with a condition for each store."""

from fastapi import FastAPI
from fastapi_health import health

from benchmarks.apps.stores import Stores


stores = Stores()
app = FastAPI(lifespan=stores.lifespan)
app.add_api_route("/health/ready", health([stores.query_postgres, stores.ping_redis]))
