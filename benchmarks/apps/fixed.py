"""A FastAPI route that returns a constant dict."""

from typing import Any

from fastapi import FastAPI


app = FastAPI()


@app.get("/health/ready")
async def ready() -> dict[str, Any]:
    """Return that all checks pass."""
    return {"status": "pass", "checks": {"postgres": "pass", "redis": "pass"}}
