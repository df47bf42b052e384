"""The service under test, and a control: an instance whose dependencies are never broken."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.chaos.priority import SERVICE, raise_priority
from tests.chaos.row import Setup
from tests.chaos.stage import CHECKS, Environment
from tests.support.faults.nameserver import command
from tests.support.service import Service, on, running


# The fault handler prints a traceback if the process crashes.
SERVICE_APP = (sys.executable, "-X", "faulthandler", "-m", "tests.chaos.subject")

# Seconds within which all checks pass after the start.
STARTUP = 10


@contextmanager
def run_service(
    environment: Environment, setup: Setup, argv: Sequence[str] = SERVICE_APP
) -> Iterator[Service]:
    """Run the service until the block ends; all checks pass when it begins."""
    with running(
        {**environment.environ(), **setup.environ(environment)},
        environment.folder / "service",
        command(argv, environment.names.host, attempts=1),
    ) as service:
        for name in CHECKS:
            service.until(name, None, STARTUP)
        raise_priority(service.process.pid, SERVICE)
        yield service


@contextmanager
def run_control(environment: Environment) -> Iterator[Service]:
    """Run the control until the block ends; all checks pass when it begins."""
    settings, log = control_settings(environment), environment.folder / "control"
    with running(settings, log, SERVICE_APP) as control:
        control.until(CHECKS[-1], None, STARTUP)
        raise_priority(control.process.pid, SERVICE)
        yield control


def control_settings(environment: Environment) -> dict[str, str]:
    """Return settings with the same number of checks, all on a server that is never broken."""
    target = {"url": f"http://127.0.0.1:{environment.control_http.port}/"}
    names = ("first", "second", CHECKS[-1])
    return {**on(), "HTTP_CHECKS": json.dumps(dict.fromkeys(names, target))}
