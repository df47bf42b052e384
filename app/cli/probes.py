"""`vitals probes`: print the configuration of a prober."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from uvicorn import Config

from app import probe_config
from app.cli import InvalidSettings, format_url, parse_port
from app.probe_config import Guarantees, ProbeConfig, Rule, compute_guarantees
from app.settings import Settings, load_with_problems
from app.settings.loading import effective_settings
from app.settings.model import parse_host
from app.text import escape_unprintable


# The timeout of curl in seconds, below the one of Docker's health check.
CURL_TIMEOUT = 5

# Seconds that a load balancer waits for the answer to a request.
REQUEST_TIMEOUT = 30

# Seconds for which a load balancer keeps an idle connection to an application: less than uvicorn.
COMPANION_KEEPALIVE = Config("").timeout_keep_alive - 1

# Seconds: what is usual for Docker and for Kubernetes. More are allowed where the settings need it.
DOCKER_GRACE = 20
DOCKER_START = 40
KUBERNETES_GRACE = 30


@dataclass(frozen=True, slots=True)
class Plan:
    """The rules that a configuration keeps, and the values of its template."""

    rules: list[Rule]
    values: Mapping[str, Any]


def docker(guarantees: Guarantees) -> Plan:
    """Plan the health check of a container."""
    probe = probe_config.docker()
    start = max(DOCKER_START, probe_config.round_up_to_tens(guarantees.startup))
    grace = max(DOCKER_GRACE, probe_config.round_up_to_tens(guarantees.shutdown))
    rules = [
        probe_config.ANSWER_RULE.apply("curl", CURL_TIMEOUT, probe_config.ANSWER),
        probe_config.OUTER_TIMEOUT_RULE.apply(
            probe.prober, probe.timeout, CURL_TIMEOUT, inner="curl"
        ),
        probe_config.STARTUP_RULE.apply(probe.prober, start, guarantees.startup),
        probe_config.STOP_RULE.apply(probe.prober, grace, guarantees.shutdown),
    ]
    values = {"probe": probe, "start": start, "grace": grace, "curl_timeout": CURL_TIMEOUT}
    return Plan(rules, values)


def kubernetes(guarantees: Guarantees) -> Plan:
    """Plan the three probes of a container, and the time for its stop."""
    readiness, liveness = probe_config.readiness_probe(guarantees), probe_config.liveness_probe()
    startup = probe_config.startup_probe(guarantees)
    start = startup.interval * startup.fall
    grace = max(KUBERNETES_GRACE, probe_config.round_up_to_tens(guarantees.shutdown))
    rules = [
        *probe_config.rotation_rules(readiness, guarantees),
        probe_config.STARTUP_RULE.apply(readiness.prober, start, guarantees.startup),
        probe_config.STOP_RULE.apply(readiness.prober, grace, guarantees.shutdown),
    ]
    probes = (
        ("startupProbe", "/health/started", startup),
        ("livenessProbe", "/health/live", liveness),
        ("readinessProbe", "/health/ready", readiness),
    )
    return Plan(rules, {"probe": readiness, "grace": grace, "probes": probes})


def load_balancer(configure: Callable[[Guarantees], ProbeConfig], guarantees: Guarantees) -> Plan:
    """Plan a load balancer that probes."""
    probe = configure(guarantees)
    values = {
        "probe": probe,
        "request_timeout": REQUEST_TIMEOUT,
        "keepalive": int(guarantees.keep_alive) - 1,
    }
    return Plan(probe_config.rotation_rules(probe, guarantees), values)


def companion(prober: str, guarantees: Guarantees, *, pauses: bool = False) -> Plan:
    """Plan a load balancer that probes Vitals and sends requests to an application beside it."""
    probe = probe_config.companion(prober, guarantees, pauses=pauses)
    values = {"probe": probe, "request_timeout": REQUEST_TIMEOUT, "keepalive": COMPANION_KEEPALIVE}
    return Plan(probe_config.companion_rules(probe, guarantees), values)


def companion_caddy(guarantees: Guarantees) -> Plan:
    """Plan a Caddy that holds requests while Vitals restarts, as one failure stops the traffic."""
    probe = replace(probe_config.companion("Caddy", guarantees), fall=1)
    limit = guarantees.restart + probe.return_delay
    hold = math.ceil(limit)
    rules = [
        probe_config.ANSWER_RULE.apply(probe.prober, probe.timeout, probe_config.ANSWER),
        probe_config.HOLD_RULE.apply(probe.prober, hold, limit),
    ]
    values = {"probe": probe, "request_timeout": REQUEST_TIMEOUT, "keepalive": COMPANION_KEEPALIVE}
    return Plan(rules, values | {"hold": hold})


def nginx(guarantees: Guarantees) -> Plan:
    """Plan a load balancer that does not probe: it learns from requests."""
    fail_timeout = probe_config.nginx_fail_timeout(guarantees)
    keepalive = max(1, int(min(guarantees.keep_alive, guarantees.drain)) - 1)
    rules = [
        probe_config.FAIL_TIMEOUT_RULE.apply("nginx", fail_timeout, guarantees.repair_delay),
        probe_config.KEEPALIVE_RULE.apply("nginx", keepalive, guarantees.drain),
    ]
    values = {
        "fail_timeout": fail_timeout,
        "request_timeout": REQUEST_TIMEOUT,
        "keepalive": keepalive,
    }
    return Plan(rules, values)


PLANS: Mapping[str, Callable[[Guarantees], Plan]] = {
    "docker": docker,
    "compose": docker,
    "kubernetes": kubernetes,
    "haproxy": partial(load_balancer, probe_config.haproxy),
    "caddy": partial(load_balancer, probe_config.caddy),
    "envoy": partial(load_balancer, probe_config.envoy),
    "nginx": nginx,
}

# Those that can probe another port than the one that gets the requests.
COMPANION_PLANS: Mapping[str, Callable[[Guarantees], Plan]] = {
    "haproxy": partial(companion, "HAProxy"),
    "caddy": companion_caddy,
    "envoy": partial(companion, "Envoy", pauses=True),
}


# The settings that a configuration depends on. Others may be wrong: it can be printed on a machine
# without the secrets.
USED = (
    *("PORT", "CHECK_INTERVAL", "CHECK_TIMEOUT", "POSTGRES_CHECK_INTERVAL"),
    *("POSTGRES_CHECK_TIMEOUT", "REDIS_CHECK_INTERVAL", "REDIS_CHECK_TIMEOUT"),
    *("CHECKS", "CHECKS_FILE", "HTTP_CHECKS"),
    *("OPTIONAL_CHECKS", "FAILURE_THRESHOLD", "SUCCESS_THRESHOLD", "DRAIN_SECONDS"),
    *("SHUTDOWN_SECONDS", "KEEP_ALIVE_SECONDS"),
)

WIDTH = 100

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=False,  # noqa: S701 - it makes no HTML
    auto_reload=False,
    keep_trailing_newline=True,
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)


def parse_address(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> SplitResult | None:
    """Parse HOST:PORT."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    try:
        known = parse_host(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
        return urlsplit(format_url(known, parse_port(port)))
    except (ValueError, click.BadParameter):
        raise click.BadParameter("must have the form HOST:PORT. Correct it.") from None


@click.command()
@click.argument("kind", metavar="|".join(PLANS))
@click.option(
    "--traffic",
    metavar="HOST:PORT",
    callback=parse_address,
    help="Send the requests to an application that runs beside Vitals, on the same host "
    f"({', '.join(COMPANION_PLANS)}).",
)
def probes(kind: str, traffic: SplitResult | None) -> None:
    """Print a probe configuration that suits the current settings.

    It starts with the rules that it keeps. Exits with 1 if no configuration can keep them, and
    prints which setting to change.
    """
    if kind not in PLANS:
        raise click.BadParameter(f"{kind!r} is unknown. Use one of {', '.join(PLANS)}.")
    if traffic and kind not in COMPANION_PLANS:
        raise click.BadParameter(
            f"--traffic does not suit {kind}. Use it with {', '.join(COMPANION_PLANS)}."
        )
    click.echo(render_configuration(kind, traffic), nl=False)


def render_configuration(kind: str, traffic: SplitResult | None = None) -> str:
    """Return a configuration for the current settings, or raise what to change in them."""
    settings, problems = load_with_problems()
    if used := [line for line in problems if line.partition(":")[0].partition(",")[0] in USED]:
        raise InvalidSettings(used[0])
    guarantees = compute_guarantees(settings)
    plan = (COMPANION_PLANS if traffic else PLANS)[kind](guarantees)
    for rule in plan.rules:
        if not rule.holds:
            raise click.ClickException(rule.remedy)
    command = f"{kind} --traffic {traffic.netloc}" if traffic else kind
    return TEMPLATES.get_template(f"{kind}.txt").render(
        head=render_head(command, settings, plan.rules),
        port=settings.port,
        guarantees=guarantees,
        traffic=traffic,
        **plan.values,
    )


def render_head(command: str, settings: Settings, rules: list[Rule]) -> str:
    """Return the comment with the settings that were used, and the rules."""
    values = effective_settings(settings)
    used = " ".join(f"{name}={values[name]}" for name in USED if values.get(name))
    lines = [
        f"Generated by `vitals probes {command}` for these settings:",
        *(f"  {line}" for line in wrap(used, WIDTH, break_long_words=False)),
        "It keeps these rules:",
        *(f"  {rule.claim}" for rule in rules),
    ]
    return "\n".join(f"# {escape_unprintable(line)}" for line in lines)


def format_seconds(value: float) -> str:
    """Format a time in whole seconds or milliseconds, which each of these programs accepts."""
    return f"{value:g}s" if value == int(value) else f"{value * 1000:g}ms"


TEMPLATES.filters.update(g="{:g}".format, s=format_seconds)
