"""`vitals probes`: prints how whoever asks is to be configured."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from uvicorn import Config

from app import probe_config
from app.probe_config import Guarantees, Prober, Rule, promise
from app.settings import Settings, load_with_problems
from app.settings.loading import effective_settings
from app.text import escape_unprintable


# Seconds after which curl gives up, within what Docker waits.
TIMEOUT = 5

# Seconds that a balancer gives a route to answer.
REQUEST = 30

# Seconds of silence after which the service closes a connection.
IDLE = Config("").timeout_keep_alive

# Seconds after which Docker and Kubernetes kill, at least: what is usual for either.
DOCKER_GRACE = 20
KUBERNETES_GRACE = 30
DOCKER_START = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """A configuration but for its words.

    Attributes:
        values: what its template needs, by name.

    """

    promised: Guarantees
    rules: list[Rule]
    values: Mapping[str, Any]


def docker(promised: Guarantees) -> Plan:
    """Plan a health check that nobody acts on but who waits for a container to be healthy."""
    prober, curl = probe_config.docker(), Prober(who="curl", interval=1, timeout=TIMEOUT, fall=1)
    start = max(DOCKER_START, probe_config.tens(promised.started))
    grace = max(DOCKER_GRACE, probe_config.tens(promised.gone))
    rules = [
        probe_config.answered(curl),
        probe_config.outlasts(prober, curl),
        probe_config.started(prober.who, start, promised),
        probe_config.stopped(prober.who, grace, promised),
    ]
    values = {"prober": prober, "start": start, "grace": grace, "patience": TIMEOUT}
    return Plan(promised, rules, values)


def kubernetes(promised: Guarantees) -> Plan:
    """Plan the three probes of a container, and its end."""
    readiness, liveness = probe_config.kubelet(promised), probe_config.liveness()
    startup = probe_config.startup(promised)
    grace = max(KUBERNETES_GRACE, probe_config.tens(promised.gone))
    rules = [
        *probe_config.rotation(readiness, promised),
        probe_config.started(readiness.who, startup.interval * startup.fall, promised),
        probe_config.stopped(readiness.who, grace, promised),
    ]
    kubelets = (
        ("startupProbe", "/health/started", startup),
        ("livenessProbe", "/health/live", liveness),
        ("readinessProbe", "/health/ready", readiness),
    )
    return Plan(promised, rules, {"prober": readiness, "grace": grace, "kubelets": kubelets})


def haproxy(promised: Guarantees) -> Plan:
    """Plan a balancer that asks."""
    return _balancer(probe_config.haproxy(promised), promised)


def caddy(promised: Guarantees) -> Plan:
    """Plan a balancer that asks."""
    return _balancer(probe_config.caddy(promised), promised)


def _balancer(prober: Prober, promised: Guarantees) -> Plan:
    rules = probe_config.rotation(prober, promised)
    values = {"prober": prober, "request": REQUEST, "idle": IDLE, "kept": IDLE - 1}
    return Plan(promised, rules, values)


def nginx(promised: Guarantees) -> Plan:
    """Plan a balancer that learns from requests alone."""
    over = probe_config.nginx(promised)
    kept = max(1, min(IDLE, int(promised.drain)) - 1)
    rules = [probe_config.passed_over(over, promised), probe_config.let_go("nginx", kept, promised)]
    values = {"passed_over": over, "request": REQUEST, "idle": IDLE, "kept": kept}
    return Plan(promised, rules, values)


PLANS: Mapping[str, Callable[[Guarantees], Plan]] = {
    "docker": docker,
    "compose": docker,
    "kubernetes": kubernetes,
    "haproxy": haproxy,
    "caddy": caddy,
    "nginx": nginx,
}


# What a configuration is computed from; a configuration may be printed where no secret is.
USED = (
    *("PORT", "CHECK_INTERVAL", "CHECK_TIMEOUT", "POSTGRES_CHECK_INTERVAL"),
    *("POSTGRES_CHECK_TIMEOUT", "REDIS_CHECK_INTERVAL", "REDIS_CHECK_TIMEOUT", "HTTP_CHECKS"),
    *("OPTIONAL_CHECKS", "FAILURE_THRESHOLD", "SUCCESS_THRESHOLD", "DRAIN_SECONDS"),
    "SHUTDOWN_SECONDS",
)

WIDTH = 100

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=False,  # noqa: S701 - no browser reads it
    auto_reload=False,
    keep_trailing_newline=True,
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)


def probes(
    kind: Annotated[str, typer.Argument(metavar="|".join(PLANS), help="Who asks.")],
) -> None:
    """Print a probe configuration, computed from the settings in force.

    What must hold between the two is printed with it. Exits with 1 where it can't hold, and says
    which setting to change.
    """
    if kind not in PLANS:
        msg = f"{kind!r} is none of {', '.join(PLANS)}"
        raise typer.BadParameter(msg)
    typer.echo(configuration(kind), nl=False)


def configuration(kind: str) -> str:
    """Write a configuration for the settings in force.

    Raises:
        typer.TyperException: none would do.

    """
    settings, problems = load_with_problems()
    if wrong := [line for line in problems if line.partition(" ")[0] in USED]:
        error = typer.TyperException(wrong[0])
        error.exit_code = os.EX_CONFIG
        raise error
    plan = PLANS[kind](promise(settings))
    for rule in plan.rules:
        if not rule.holds:
            raise typer.TyperException(rule.remedy)
    return TEMPLATES.get_template(f"{kind}.txt").render(
        head=head(kind, settings, plan.rules),
        port=settings.port,
        promised=plan.promised,
        **plan.values,
    )


def head(kind: str, settings: Settings, rules: list[Rule]) -> str:
    """Tell, as a comment, what a configuration is computed from, and what holds."""
    known = effective_settings(settings)
    used = " ".join(f"{name}={known[name]}" for name in USED if known.get(name))
    lines = [
        f"`vitals probes {kind}` has computed this from the settings in force:",
        *(f"  {line}" for line in wrap(used, WIDTH, break_long_words=False)),
        "What must hold, and does:",
        *(f"  {rule.words}" for rule in rules),
    ]
    return "\n".join(f"# {escape_unprintable(line)}" for line in lines)


def seconds(value: float) -> str:
    """Write a time as every one of these programs reads it: in whole seconds or milliseconds."""
    return f"{value:g}s" if value == int(value) else f"{value * 1000:g}ms"


TEMPLATES.filters.update(g="{:g}".format, s=seconds)
