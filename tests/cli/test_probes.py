import json
import re

import pytest
import yaml

from app.cli.probes import IDLE, PLANS, TIMEOUT
from app.probe_config import Prober, answered, docker, outlasts, promise, started, stopped
from app.settings import Settings
from tests.cli.conftest import Call
from tests.service import ROOT
from tests.test_dockerfile import own_check
from tests.written_figures import Figure, broken, figure


DEPLOYED = {
    "haproxy": "deploy/haproxy/haproxy.cfg",
    "caddy": "deploy/caddy/Caddyfile",
    "nginx": "deploy/nginx/nginx.conf",
}

# A unit of each kind of file, and what stands before its health check there.
CHECKS = {
    "docker/Dockerfile": (r"--{}[= ](\w+)", "^FROM base AS production"),
    "compose.production.yaml": (r"^ +{}: (\w+)", "^  backend:"),
}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("kind", PLANS)
def test_every_kind_is_printed_with_what_holds(call: Call, kind: str) -> None:
    """As comments; nothing has to be there yet, neither a dependency nor a secret."""
    result = call("probes", kind)
    assert (result.code, result.err) == (0, "")
    assert "# What must hold, and does:\n#   " in result.out
    assert f"`vitals probes {kind}` has computed this" in result.out
    assert max(map(len, result.out.splitlines())) <= 130


@pytest.mark.parametrize("kind", DEPLOYED)
def test_what_is_deployed_is_what_is_printed(call: Call, kind: str) -> None:
    """Under the defaults; where they change, `vitals probes` writes the file anew."""
    file = DEPLOYED[kind]
    written = (ROOT / file).read_text().splitlines()
    due = call("probes", kind).out.splitlines()
    for number, (is_, should) in enumerate(zip(written, due, strict=False), 1):
        assert is_ == should, f"{file}:{number}: vitals probes {kind} > {file}"
    assert len(written) == len(due), f"{file}: vitals probes {kind} > {file}"


@pytest.mark.parametrize("file", CHECKS)
def test_the_health_check_of_the_image_keeps_the_rules(file: str) -> None:
    """Under the defaults; what does not hold is told with the file and the line to mend."""
    term, after = CHECKS[file]

    def of(name: str) -> Figure:
        return figure(file, term.format(name), after)

    interval, timeout, retries, start = map(of, ("interval", "timeout", "retries", "start.period"))
    prober = Prober(
        who="Docker",
        interval=interval.seconds,
        timeout=timeout.seconds,
        fall=int(retries.text),
    )
    patience = figure("docker/Dockerfile", r"--max-time (\d+)")
    curl = Prober(who="curl", interval=1, timeout=patience.seconds, fall=1)
    promised = promise(Settings())
    rules = [outlasts(prober, curl), started("Docker", start.seconds, promised)]
    assert broken(rules, {"timeout": timeout, "start": start}) == []
    assert broken([answered(curl)], {"timeout": patience}) == []
    assert (prober, patience.text) == (docker(), str(TIMEOUT))


def test_the_stop_of_the_stack_keeps_the_rule() -> None:
    """No request in flight is killed."""
    grace = figure("compose.production.yaml", r"stop_grace_period: (\w+)", "^  backend:")
    rule = stopped("Docker", grace.seconds, promise(Settings()))
    assert broken([rule], {"grace": grace}) == []


def test_docker_prints_what_the_image_has(call: Call) -> None:
    """To the letter."""
    dockerfile = (ROOT / "docker/Dockerfile").read_text()
    (check,) = re.findall(
        r"^HEALTHCHECK (?:.*\\\n)*.*\n", call("probes", "docker").out, re.MULTILINE
    )
    assert check in dockerfile


def test_compose_prints_what_the_stack_has(call: Call) -> None:
    """And the command of the image's own check, on the port that is set."""
    backend = yaml.safe_load(call("probes", "compose").out)["services"]["backend"]
    text = (
        (ROOT / "compose.production.yaml")
        .read_text()
        .replace("!reset", "")
        .replace("!override", "")
    )
    deployed = yaml.safe_load(text)["services"]["backend"]
    test = backend["healthcheck"].pop("test")
    assert test == ["CMD-SHELL", own_check().replace("${PORT:-8000}", "8000").replace("$", "$$")]
    assert backend["healthcheck"] == deployed["healthcheck"]
    assert backend["stop_grace_period"] == deployed["stop_grace_period"]


def test_kubernetes_prints_three_probes(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each at its own path; a longer stop and start get their time."""
    for name, value in {"SHUTDOWN_SECONDS": "60", "CHECK_TIMEOUT": "20", "PORT": "8123"}.items():
        monkeypatch.setenv(name, value)
    pod = yaml.safe_load(call("probes", "kubernetes").out)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] == 70
    assert container["ports"] == [{"name": "http", "containerPort": 8123}]
    paths = {name: probe["httpGet"]["path"] for name, probe in container.items() if "Probe" in name}
    assert paths == {
        "startupProbe": "/health/started",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    assert container["startupProbe"]["failureThreshold"] == 60  # twice 20 + 0.5 + 5, in tens
    assert json.dumps(pod).count("Seconds") == 7


@pytest.mark.parametrize("kind", ["kubernetes", "haproxy", "caddy", "nginx"])
def test_what_can_not_hold_is_told_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """With the setting and what would do, and nothing is printed that would not."""
    monkeypatch.setenv("DRAIN_SECONDS", "0")
    result = call("probes", kind)
    assert (result.code, result.out) == (1, "")
    found = re.fullmatch(
        r"vitals: DRAIN_SECONDS is 0, and .*: set it (?:to|above) ([\d.]+)(?: or more)?\n",
        result.err,
    )
    assert found
    monkeypatch.setenv("DRAIN_SECONDS", str(float(found[1]) + (kind == "nginx")))
    assert call("probes", kind).code == 0


def test_what_is_set_wrongly_is_told_as_the_service_does(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exit code of a bad setting; what plays no part does not matter."""
    monkeypatch.setenv("HEALTH_DETAILS", "nobody")
    assert call("probes", "haproxy").code == 0
    monkeypatch.setenv("PORT", "0")
    line = "vitals: PORT must be a port from 1 to 65535: correct it, or unset it\n"
    assert call("probes", "haproxy") == (78, "", line)


def test_a_kind_that_there_is_not_is_told(call: Call) -> None:
    """With those that there are."""
    result = call("probes", "apache")
    assert (result.code, result.out) == (2, "")
    assert f"'apache' is none of {', '.join(PLANS)}" in result.err


@pytest.mark.parametrize("kind", ["caddy", "nginx"])
def test_a_proxy_lets_go_of_a_connection_before_the_service_does(kind: str) -> None:
    """Or a request would meet a connection that is being closed."""
    kept = figure(DEPLOYED[kind], r"^\s+(?:keepalive|keepalive_timeout) (\d+s)")
    assert kept.seconds < IDLE, f"{kept.place}: keep it for less than {IDLE} s"
