"""A FastAPI route that answers the same dict, whatever happens."""

from typing import Any

from fastapi import FastAPI


app = FastAPI()


@app.get("/health/ready")
async def ready() -> dict[str, Any]:
    """Say that all is well."""
    return {"status": "pass", "checks": {"postgres": "pass", "redis": "pass"}}
