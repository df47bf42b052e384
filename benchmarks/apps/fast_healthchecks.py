"""fast-healthchecks, with its own checks of both stores."""

from fast_healthchecks.checks.postgresql.asyncpg import PostgreSQLAsyncPGHealthCheck
from fast_healthchecks.checks.redis import RedisHealthCheck
from fast_healthchecks.integrations.base import Probe, build_probe_route_options
from fast_healthchecks.integrations.fastapi import HealthcheckRouter
from fastapi import FastAPI

from benchmarks.apps.stores import POSTGRES, REDIS, TIMEOUT


checks = [
    PostgreSQLAsyncPGHealthCheck.from_dsn(POSTGRES, timeout=TIMEOUT),
    RedisHealthCheck.from_dsn(REDIS, timeout=TIMEOUT),
]
app = FastAPI()
app.include_router(
    HealthcheckRouter(
        Probe(name="ready", checks=checks), options=build_probe_route_options(success_status=200)
    )
)
