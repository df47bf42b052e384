"""The composition root: settings become checks, checks a monitor, the monitor an application."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

import app
from app.api.answers import Answers
from app.api.routes import install
from app.health import Check, Clock, Monitor, Status, Transition
from app.lifecycle import Lifecycle
from app.probes.postgres import postgres
from app.probes.redis import redis
from app.probes.session import SessionProbe
from app.settings import Settings, load


logger = logging.getLogger(__name__)


def create_app(read_settings: Callable[[], Settings] = load) -> FastAPI:
    """Make the application; it reads its settings when it starts, not when it is made.

    Raises:
        ConfigurationError: when it starts, if the settings can't be used.

    """

    @asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            checks = await open_checks(read_settings(), stack)
            monitor = await stack.enter_async_context(
                Monitor(checks, clock=Clock(), listener=log_transition)
            )
            application.state.answers = Answers(monitor.report, Lifecycle())
            yield

    application = FastAPI(
        title="Vitals",
        description=app.__doc__ or "",
        version=app.__version__,
        docs_url=None,  # these two would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    install(application)
    return application


async def open_checks(settings: Settings, stack: AsyncExitStack) -> list[Check]:
    """Open a probe for each dependency that is configured; the stack closes them."""
    checks = []
    if settings.database_url:
        probe = await stack.enter_async_context(
            postgres(
                settings.database_url,
                settings.password("postgres"),
                require=settings.postgres_require,
                renew_after=settings.reconnect_interval,
            )
        )
        checks.append(check("postgres", probe, settings))
    if settings.redis_url:
        probe = await stack.enter_async_context(
            redis(
                settings.redis_url,
                settings.password("redis"),
                require=settings.redis_require,
                renew_after=settings.reconnect_interval,
            )
        )
        checks.append(check("redis", probe, settings))
    return checks


def check(name: str, probe: SessionProbe, settings: Settings) -> Check:
    """Set the terms on which a dependency is judged."""
    return Check(
        name=name,
        probe=probe,
        explain=probe.explain,
        interval=getattr(settings, f"{name}_check_interval") or settings.check_interval,
        timeout=getattr(settings, f"{name}_check_timeout") or settings.check_timeout,
        failure_threshold=settings.failure_threshold,
        success_threshold=settings.success_threshold,
        required=name not in settings.optional,
    )


def log_transition(transition: Transition, cause: str) -> None:
    """Write a line for a check that has turned; the cause goes nowhere else."""
    logger.log(
        logging.INFO if transition.after is Status.PASS else logging.WARNING,
        "check %s: %s -> %s %s (%.1f s) %s",
        transition.name,
        transition.before.word,
        transition.after.word,
        transition.reason or "",
        transition.lasted,
        cause,
    )
