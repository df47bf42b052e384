"""The composition root: builds checks, monitor and application from the settings."""

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import app
from app.api.answers import ENDED, NOT_STARTED, Answers, UnavailableAnswers
from app.api.clients import Clients
from app.api.metrics import Metrics, MetricsRecorder
from app.api.response_cache import ResponseCache
from app.api.routes import add_routes, cacheable_renderers, is_probe
from app.api.verdict import OperatorView, ServiceState
from app.asgi import Vitals, skip_tracing
from app.auth import Access, TokenVerifier
from app.background import run_periodically
from app.check_factory import create_checks
from app.event_loop import Admission, LoopLag, StallDetector
from app.health import Check, Clock, Monitor
from app.health.monitor import report_crash
from app.lifecycle import Lifecycle, drain_on_signal, feed_watchdog, watch_file
from app.logs import configure_if_unconfigured, filter_probe_logs
from app.logs.events import CheckLogger, log_deprecated, log_start
from app.notifications import monitor_notifications
from app.settings import ConfigurationError, Settings, load
from app.settings.loading import changed_settings, effective_settings, find_deprecated
from app.settings.secrets import SIGNING_KEY, SecretStore


# Slow requests that may wait: the clients of further ones would time out before their turn.
MAX_WAITING = 1000


def create_app(
    read_settings: Callable[[], Settings] = load, *, trust_all_clients: bool = False
) -> Vitals:
    """Return the application. Its lifespan reads the settings, and raises ConfigurationError.

    Args:
        trust_all_clients: whether every client is an operator, as on a developer's machine.
    """
    application = Vitals(
        title="Vitals",
        description=app.__doc__ or "",
        version=app.__version__,
        docs_url=None,  # both would load scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"exclude": skip_tracing},
        lifespan=partial(
            lifespan, read_settings=read_settings, trust_all_clients=trust_all_clients
        ),
    )
    add_routes(application)
    application.own_routes = len(application.routes)
    return application


@asynccontextmanager
async def lifespan(
    application: Vitals, read_settings: Callable[[], Settings], *, trust_all_clients: bool
) -> AsyncIterator[None]:
    """Read the settings, run the service, and stop answering at the end."""
    application.state.answers = UnavailableAnswers(NOT_STARTED)
    try:
        settings = read_settings()
    except ConfigurationError as error:
        application.state.problems = error.problems
        raise
    application.state.settings = settings  # for the routers that users add: docs/grow.md
    configure_if_unconfigured(settings.log_level, settings.log_format)
    try:
        async with AsyncExitStack() as stack:
            await open_service(application, settings, stack, trust_all_clients=trust_all_clients)
            yield
    finally:
        application.state.answers = UnavailableAnswers(
            ENDED if application.response_cache else NOT_STARTED
        )
        application.lifecycle = application.response_cache = None
        application.admission = application.slow_admission = None


async def open_service(
    application: Vitals, settings: Settings, stack: AsyncExitStack, *, trust_all_clients: bool
) -> None:
    """Start the checks and the other background tasks; *stack* stops them."""
    application.lifecycle = lifecycle = Lifecycle()
    stack.enter_context(drain_on_signal(lifecycle, settings.drain_seconds))
    if settings.log_level != "debug":
        stack.enter_context(filter_probe_logs(is_probe))
    stack.enter_context(watch_file(settings.maintenance, lifecycle))
    secrets = SecretStore(settings.read_secret)
    checks, open_probes = create_checks(settings, secrets.read)
    log_start(app.__version__, getattr(application.state, "addresses", ()), checks)
    for setting, advice in find_deprecated(settings).items():
        log_deprecated(setting, advice)
    clock, recorder, lag = Clock(), MetricsRecorder(checks), LoopLag()
    monitor = create_monitor(checks, clock, recorder, secrets.redact)
    await stack.enter_async_context(run_in_background(feed_watchdog(), "watchdog"))
    await stack.enter_async_context(run_in_background(run_checks(monitor, open_probes), "checks"))
    stack.enter_context(lag.measure())
    stack.enter_context(StallDetector(lag, recorder.record_stall).watch())
    tokens = TokenVerifier(partial(settings.secret, SIGNING_KEY))
    stack.enter_context(run_periodically(tokens.poll, "tokens"))
    access = Access(settings.health_details, tokens.refusal, trust_all_clients=trust_all_clients)
    state = ServiceState(monitor, lifecycle, clock)
    await stack.enter_async_context(
        monitor_notifications(settings, secrets, state.snapshot, recorder.record_notification)
    )
    application.state.answers = Answers(
        state=state,
        access=access,
        metrics=Metrics(recorder, lag.worst, settings.instance),
        histories=monitor.history,
        clients=Clients(),
        instance=settings.instance,
        operator_view=OperatorView(
            settings=effective_settings(settings),
            changed=changed_settings(settings),
            targets={spec.name: spec.target for spec in settings.check_specs},
        ),
    )
    application.admission, application.slow_admission = Admission(math.inf), Admission(MAX_WAITING)
    application.response_cache = ResponseCache(cacheable_renderers(application), state)


def create_monitor(
    checks: Iterable[Check], clock: Clock, recorder: MetricsRecorder, redact: Callable[[str], str]
) -> Monitor:
    """Return the monitor of the checks, with metrics and log as its subscribers."""
    monitor = Monitor(checks, clock=clock)
    monitor.subscribe(
        on_result=recorder.record_result,
        on_transition=lambda transition, _cause: recorder.record_transition(transition),
    )
    check_logger = CheckLogger(monitor.report, redact)
    monitor.subscribe(on_result=check_logger.on_result, on_transition=check_logger.on_transition)
    return monitor


async def run_checks(
    monitor: Monitor, open_probes: Callable[[AsyncExitStack], Awaitable[None]]
) -> None:
    """Open the probes, which loads their drivers, and run the checks until cancelled."""
    async with AsyncExitStack() as stack:
        await open_probes(stack)
        if gc.get_freeze_count():
            gc.freeze()  # the drivers too, as the server does with what exists at the start
        await stack.enter_async_context(monitor)
        await asyncio.Event().wait()


@asynccontextmanager
async def run_in_background(coroutine: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run a task within the block. Its error does not end the block."""
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(report_crash)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
