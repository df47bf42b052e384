"""A FastAPI application that imports what the service imports, and does nothing with it."""

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
