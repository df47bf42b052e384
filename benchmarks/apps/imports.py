"""A FastAPI application with the imports of the service, which it does not use."""

import asyncpg
import hiredis
import jwt
import prometheus_client
import pydantic_settings
import redis.asyncio
import sqlalchemy

from benchmarks.apps.fixed import app


__all__ = [
    "app",
    "asyncpg",
    "hiredis",
    "jwt",
    "prometheus_client",
    "pydantic_settings",
    "redis",
    "sqlalchemy",
]
