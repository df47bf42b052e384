"""The applications that the benchmarks compare."""

import sys
from dataclasses import dataclass


UVICORN = (sys.executable, "-m", "uvicorn", "--no-access-log", "--log-level", "warning")


@dataclass(frozen=True)
class Contender:
    """A program that answers on a path. It reads its port from PORT.

    Attributes:
        app: application for uvicorn; empty for `vitals serve`.
        ours: whether it is this service.
    """

    name: str
    app: str = ""
    path: str = "/health/ready"
    ours: bool = False

    def command(self, port: int) -> list[str]:
        """Return the command that runs it."""
        if self.app:
            return [*UVICORN, "--port", str(port), self.app]
        return [sys.executable, "-m", "app", "serve"]


RAW = Contender("raw ASGI on uvicorn", "benchmarks.apps.raw:app")
IMPORTS = Contender("FastAPI, the same imports", "benchmarks.apps.imports:app")
SERVE = Contender("Vitals, `vitals serve`", ours=True)
LIVE = Contender("Vitals, `vitals serve`, liveness", path="/health/live", ours=True)
ASGI = Contender("Vitals under uvicorn", "app.main:app", ours=True)
LIVE_ASGI = Contender("Vitals under uvicorn, liveness", "app.main:app", "/health/live", ours=True)
ROUTES = Contender("Vitals' routes", "app.main:app", "/health/ready?other", ours=True)
BARE = Contender("FastAPI, a fixed dict", "benchmarks.apps.fixed:app")
OTHERS = (
    BARE,
    Contender("a route written by hand", "benchmarks.apps.handwritten:app"),
    Contender("fastapi-health", "benchmarks.apps.fastapi_health:app"),
    Contender("dockerflow", "benchmarks.apps.dockerflow:app", "/__heartbeat__"),
    Contender("fast-healthchecks", "benchmarks.apps.fast_healthchecks:app"),
)
LIBRARIES = OTHERS[2:]
ALL = (SERVE, LIVE, RAW, ASGI, LIVE_ASGI, ROUTES, *OTHERS)
