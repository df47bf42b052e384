"""The composition root: settings become checks, checks a monitor, the monitor an application."""

import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import app
from app.api.access import Access
from app.api.answers import Answers
from app.api.archive import Archive
from app.api.counts import Counts
from app.api.endpoints import is_probe
from app.api.metrics import Metrics
from app.api.probers import Probers
from app.api.readymade import Readymade
from app.api.routes import install, ready
from app.api.unserved import ENDED, NOT_STARTED, Unserved
from app.asgi import Vitals, unasked
from app.background import repeated
from app.checks import open_checks
from app.event_loop.admission import Admission
from app.event_loop.lag import Lag
from app.event_loop.stalls import Stalls
from app.health import Check, Clock, Monitor, Result, Transition
from app.lifecycle import Lifecycle
from app.lifecycle.drain import drain_on_signal
from app.lifecycle.maintenance import watch_file
from app.logs import configure_if_nobody_has, without_chatter
from app.logs.journal import Journal
from app.logs.redaction import Redactor
from app.settings import ConfigurationError, Settings, load
from app.settings.shown import in_force
from app.settings.signing_key import SIGNS
from app.tokens import Tokens


# Requests for pages and the like that may wait; the clients of more would have given up.
MAX_WAITING = 1000


def create_app(read_settings: Callable[[], Settings] = load, *, everybody: bool = False) -> Vitals:
    """Make the application; it reads its settings when it starts, not when it is made.

    Args:
        everybody: whether everybody is an operator, as on a developer's own machine.

    Raises:
        ConfigurationError: when it starts, if the settings can't be used.

    """
    application = Vitals(
        title="Vitals",
        description=app.__doc__ or "",
        version=app.__version__,
        docs_url=None,  # these two would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"exclude": unasked},  # FastAPI's own
        lifespan=partial(serving, read_settings=read_settings, everybody=everybody),
    )
    install(application)
    application.own_routes = len(application.routes)
    return application


@asynccontextmanager
async def serving(
    application: Vitals, read_settings: Callable[[], Settings], *, everybody: bool
) -> AsyncIterator[None]:
    """Serve on the settings as they are now, and leave nothing to answer with afterwards."""
    application.state.answers = Unserved(NOT_STARTED)
    try:
        settings = read_settings()
    except ConfigurationError as error:
        application.state.problems = error.problems
        raise
    application.state.settings = settings  # for routers of your own: docs/grow.md
    configure_if_nobody_has(settings.log_level, settings.log_format)
    try:
        async with AsyncExitStack() as stack:
            await open_service(application, settings, stack, everybody=everybody)
            yield
    finally:
        application.state.answers = Unserved(ENDED if application.readymade else NOT_STARTED)
        application.lifecycle = application.readymade = None
        application.admissions = {}


async def open_service(
    application: Vitals, settings: Settings, stack: AsyncExitStack, *, everybody: bool
) -> None:
    """Start everything that goes on beside the requests; the stack ends it."""
    application.lifecycle = lifecycle = Lifecycle()
    stack.enter_context(drain_on_signal(lifecycle, settings.drain_seconds))
    if settings.log_level != "debug":
        stack.enter_context(without_chatter(is_probe))
    stack.enter_context(watch_file(settings.maintenance, lifecycle))
    redactor = Redactor(settings.read_secret)
    checks = await open_checks(settings, redactor.read, stack)
    clock, counts, lag = Clock(), Counts(checks), Lag()
    monitor = await stack.enter_async_context(monitored(checks, clock, counts, redactor.redact))
    stack.enter_context(lag.measured())
    stack.enter_context(Stalls(lag, counts.stall).watched())
    tokens = Tokens(partial(settings.secret, SIGNS))
    stack.enter_context(repeated(tokens.look, "tokens"))
    archive = Archive(
        clock=clock, histories=monitor.history, probers=Probers(), settings=in_force(settings)
    )
    access = Access(settings.health_details, tokens.valid, everybody=everybody)
    metrics = Metrics(counts, lag.worst)
    application.state.answers = Answers(monitor.report, lifecycle, access, metrics, archive)
    application.admissions = {False: Admission(math.inf), True: Admission(MAX_WAITING)}
    application.readymade = Readymade(ready(application), monitor, lifecycle, clock)


def monitored(
    checks: Iterable[Check], clock: Clock, counts: Counts, redact: Callable[[str], str]
) -> Monitor:
    """Make the monitor of the checks, which has all that it hears counted and the turns logged."""
    journal = Journal(lambda: monitor.report(), redact)  # noqa: PLW0108 - made below

    def hear(name: str, result: Result) -> None:
        counts.hear(name, result)
        journal.hear(name, result)

    def listen(transition: Transition, cause: str) -> None:
        counts.turn(transition)
        journal.tell(transition, cause)

    monitor = Monitor(checks, clock=clock, hearer=hear, listener=listen)
    return monitor
