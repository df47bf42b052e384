"""The application with the instrumentations of OpenTelemetry that users may enable."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from redis.asyncio import Connection
from starlette.testclient import TestClient

from app.application import create_app
from app.settings import Settings
from tests.support.devservers import Valkey


ATTEMPTS = 9
PATHS = (
    "/health",
    "/health/",
    "/healthz",
    "/health/ready?verbose",
    "/readyz/",
    "/health/live",
    "/livez",
    "/health/started",
    "/startupz",
    "/health/checks/redis",
    "/health/checks/nothing",
    "/metrics",
)


class Telemetry:
    """Records spans and metrics in memory."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])

    def names(self) -> list[str]:
        """Return the names of all spans and metrics."""
        data = self._reader.get_metrics_data()
        measured = [
            metric.name
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return [span.name for span in self._spans.get_finished_spans()] + measured


@pytest.fixture(name="telemetry")
def _telemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    telemetry = Telemetry()
    # OpenTelemetry allows one provider a process, and other tests run in this one.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: telemetry.tracers)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: telemetry.meters)
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


@pytest.fixture(name="app")
def _app(valkey: Valkey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FastAPI:
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(valkey.password_file))
    settings = Settings(redis_url=valkey.url, secrets_dir=tmp_path, check_interval=0.05)
    return create_app(lambda: settings)


@pytest.fixture(name="instrumented")
def _instrumented(app: FastAPI, telemetry: Telemetry) -> None:
    """Instrument the application with `opentelemetry-instrumentation-fastapi`."""
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=telemetry.tracers, meter_provider=telemetry.meters
    )


def assert_only_the_root_is_recorded(app: FastAPI, telemetry: Telemetry) -> None:
    """Send requests to every health path, then one to `/`."""
    with TestClient(app) as client:
        for path in PATHS:
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                client.request(method, path)
        assert telemetry.names() == []
        client.get("/")
        assert [name for name in telemetry.names() if name.startswith("GET")]
        assert [name for name in telemetry.names() if name.startswith("http.server")]


@pytest.mark.usefixtures("instrumented")
def test_the_instrumentation_package_skips_probes(app: FastAPI, telemetry: Telemetry) -> None:
    """No spans and no HTTP metrics, although the user has excluded no URL."""
    assert_only_the_root_is_recorded(app, telemetry)


def test_the_telemetry_of_fastapi_skips_probes(app: FastAPI, telemetry: Telemetry) -> None:
    """FastAPI enables it as soon as the process has a provider."""
    assert_only_the_root_is_recorded(app, telemetry)


def test_a_check_makes_no_span(
    app: FastAPI, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instrumented driver sees that tracing is suppressed."""
    commands: list[bool] = []
    send = Connection.send_packed_command

    async def traced(self: Connection, *arguments: Any, **options: Any) -> None:
        commands.append(is_instrumentation_enabled())
        if commands[-1]:
            telemetry.tracers.get_tracer("redis").start_span("command").end()
        await send(self, *arguments, **options)

    monkeypatch.setattr(Connection, "send_packed_command", traced)
    with TestClient(app) as client:
        deadline = time.monotonic() + 5
        while len(commands) < ATTEMPTS:
            assert time.monotonic() < deadline
            client.get("/health")
    assert telemetry.names() == []
    assert is_instrumentation_enabled()
