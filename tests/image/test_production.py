"""Production in a fresh clone: healthy, without rights, and telling nobody its secrets."""

import json
import re

import psutil
import pytest

from tests.image.stack import Stack, run, until


SERVICES = ["backend", "postgres", "redis"]


def test_it_is_healthy_and_answers(production: Stack) -> None:
    """After `vitals secrets init` and `up --wait`, and with nothing else prepared."""
    assert [production.health(service) for service in SERVICES] == ["healthy"] * 3
    code, body = production.ask("/health")
    assert (code, body["status"], set(body["checks"])) == (200, "pass", {"postgres", "redis"})


def test_the_command_of_the_health_check_passes(production: Stack) -> None:
    """`curl -f` on the published port, too."""
    url = f"http://127.0.0.1:{production.port}/health"
    assert json.loads(run("curl", "-fsS", "--noproxy", "*", url))["status"] == "pass"


def test_it_listens_on_the_loopback_address_alone(production: Stack) -> None:
    """Only the backend does, whether the engine is asked or the machine."""
    published = [
        (binding["HostIp"], binding["HostPort"])
        for service in SERVICES
        for bindings in production.inspect(service)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert published == [("127.0.0.1", str(production.port))]
    listening = [
        address[0]
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        and (address := connection.laddr)
        and address[1] == production.port
    ]
    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("service", "uid"), [("backend", 10001), ("postgres", 999), ("redis", 999)]
)
def test_nothing_has_rights(production: Stack, service: str, uid: int) -> None:
    """Each process is a plain user's, without a capability or a way to one, on a read-only root."""
    status = production.exec(service, "cat", "/proc/1/status")
    assert re.findall(r"^[UG]id:\t(.*)$", status, re.MULTILINE) == ["\t".join([str(uid)] * 4)] * 2
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.MULTILINE)) == {"0" * 16}
    assert re.findall(r"^NoNewPrivs:\t(.)$", status, re.MULTILINE) == ["1"]
    mounts = production.exec(service, "cat", "/proc/1/mounts").splitlines()
    assert [mount.split()[3][:2] for mount in mounts if mount.split()[1] == "/"] == ["ro"]


def test_the_stores_reach_nothing_outside(production: Stack) -> None:
    """Their network has no way out, and they are on no other."""
    for service in ("postgres", "redis"):
        (network,) = production.inspect(service)["NetworkSettings"]["Networks"]
        assert json.loads(run("docker", "network", "inspect", network))[0]["Internal"]


def test_the_backend_finds_its_secrets_and_no_others(production: Stack) -> None:
    """Each service is given what it reads."""
    found = {
        service: production.exec(service, "ls", "/run/secrets").split() for service in SERVICES
    }
    assert found == {
        "backend": ["jwt_secret", "postgres_password", "redis_password", "stack_auth_secret"],
        "postgres": ["postgres_password"],
        "redis": ["redis_password"],
    }


def test_no_secret_is_told(production: Stack) -> None:
    """Neither by the engine nor by the model, a log, or the arguments of a process."""
    secrets = {path.name: path.read_text() for path in production.folder.glob("secrets/*.txt")}
    told = [run("docker", "inspect", *production.containers)]
    told += [run("docker", "history", "--no-trunc", f"{production.project}-backend")]
    told += [run("docker", "image", "inspect", f"{production.project}-backend")]
    told += [production.compose("--profile", "*", "config")]
    told += [production.compose("logs", "--no-color")]
    told += [
        run("docker", "top", container, "-eo", "pid,args") for container in production.containers
    ]
    assert len(secrets) == 6
    assert [(name, secret) for name, secret in secrets.items() if secret in "".join(told)] == []


@pytest.mark.parametrize("service", ["backend", "redis"])
def test_no_secret_is_in_the_environment(production: Stack, service: str) -> None:
    """Of no process."""
    # A health check's process may have gone meanwhile; of those that are there each is read.
    read = 'for one in /proc/[0-9]*/environ; do cat "$one" 2>&1 || [ ! -e "$one" ] || exit 1; done'
    environment = production.exec(service, "sh", "-c", read)
    assert "PATH=" in environment
    secrets = [path.read_text() for path in production.folder.glob("secrets/*.txt")]
    assert not [secret for secret in secrets if secret in environment]


def test_maintenance_takes_it_out_and_puts_it_back(production: Stack) -> None:
    """On a read-only root too: its file lies in memory."""
    for word, code in (("on", 503), ("off", 200)):
        production.exec("backend", "vitals", "maintenance", word)
        until(lambda: production.ask("/health/ready")[0], code, within=5)
