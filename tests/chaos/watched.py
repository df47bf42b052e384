"""The service under test, and a control: an instance whose dependencies are never broken."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.chaos.priority import SERVICE, raise_priority
from tests.chaos.row import Setup
from tests.chaos.stage import CHECKS, Environment
from tests.support.faults.nameserver import command
from tests.support.service import Service, on, running, wait_for


# The fault handler prints a traceback if the process crashes.
SERVICE_APP = (sys.executable, "-X", "faulthandler", "-m", "tests.chaos.subject")

# Seconds within which all checks pass after the start.
STARTUP = 15


def run_service(
    environment: Environment, setup: Setup, argv: Sequence[str] = SERVICE_APP
) -> AbstractContextManager[Service]:
    """Run the service until the block ends; all checks pass when it begins."""
    settings = {**environment.environ(), **setup.environ(environment)}
    through_names = command(argv, environment.names.host, attempts=1)
    return _running(settings, environment.folder / "service", through_names)


def run_control(environment: Environment) -> AbstractContextManager[Service]:
    """Run the control with as many checks, all of a server that is never broken."""
    target = {"url": f"http://127.0.0.1:{environment.control_http.port}/"}
    checks = {f"control-{check}": target for check in CHECKS}
    settings = {**on(), "HTTP_CHECKS": json.dumps(checks)}
    return _running(settings, environment.folder / "control", SERVICE_APP)


@contextmanager
def _running(settings: Mapping[str, str], log: Path, argv: Sequence[str]) -> Iterator[Service]:
    with running(settings, log, argv) as service:
        wait_for(lambda: service.ask("/health/ready").code == 200, STARTUP)
        raise_priority(service.process.pid, SERVICE)
        yield service
