"""The application, traced and measured as its user may choose to have it."""

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
from app.devservers import Valkey
from app.settings import Settings


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


class Watcher:
    """Keeps what is traced and measured."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])

    def seen(self) -> list[str]:
        """Tell what was traced and measured."""
        data = self._reader.get_metrics_data()
        measured = [
            metric.name
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        return [span.name for span in self._spans.get_finished_spans()] + measured


@pytest.fixture(name="watcher")
def _watcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watcher]:
    watcher = Watcher()
    # They can be set once in a process, and this one has other tests.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: watcher.tracers)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: watcher.meters)
    yield watcher
    watcher.tracers.shutdown()
    watcher.meters.shutdown()


@pytest.fixture(name="app")
def _app(valkey: Valkey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FastAPI:
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(valkey.password_file))
    settings = Settings(redis_url=valkey.url, secrets_dir=tmp_path, check_interval=0.05)
    return create_app(lambda: settings)


@pytest.fixture(name="by_package")
def _by_package(app: FastAPI, watcher: Watcher) -> None:
    """Have the instrumentation package observe the application."""
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=watcher.tracers, meter_provider=watcher.meters
    )


def assert_nothing_but_the_root_is_seen(app: FastAPI, watcher: Watcher) -> None:
    """Probe every path in every way, then ask for what is no probe's."""
    with TestClient(app) as client:
        for path in PATHS:
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                client.request(method, path)
        assert watcher.seen() == []
        client.get("/")
        assert [name for name in watcher.seen() if name.startswith("GET")]
        assert [name for name in watcher.seen() if name.startswith("http.server")]


@pytest.mark.usefixtures("by_package")
def test_the_instrumentation_package_sees_no_probe(app: FastAPI, watcher: Watcher) -> None:
    """Neither spans nor HTTP metrics, with no URL excluded by hand."""
    assert_nothing_but_the_root_is_seen(app, watcher)


def test_fastapis_own_telemetry_sees_no_probe(app: FastAPI, watcher: Watcher) -> None:
    """It is on as soon as a process has a provider."""
    assert_nothing_but_the_root_is_seen(app, watcher)


def test_a_check_is_no_span(
    app: FastAPI, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that is instrumented, as every instrumentation does it, is told to look away."""
    commands: list[bool] = []
    send = Connection.send_packed_command

    async def traced(self: Connection, *arguments: Any, **options: Any) -> None:
        commands.append(is_instrumentation_enabled())
        if commands[-1]:
            watcher.tracers.get_tracer("redis").start_span("command").end()
        await send(self, *arguments, **options)

    monkeypatch.setattr(Connection, "send_packed_command", traced)
    with TestClient(app) as client:
        deadline = time.monotonic() + 5
        while len(commands) < ATTEMPTS:
            assert time.monotonic() < deadline
            client.get("/health")
    assert watcher.seen() == []
    assert is_instrumentation_enabled()
