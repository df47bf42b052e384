import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.check_factory import ADVICE_BY_ERROR
from app.checks.network import Stage, enter_stage
from app.checks.redis_server import HIDDEN_CLUSTER
from app.checks.tls import CertificateFileError
from app.cli.doctor import HEADS, ProbeTrace, StageRecorder, check_row, format_rows
from app.health import Check, Clock, Observation, Reason, Result
from app.health.reasons import Advice
from app.settings import Settings
from tests.support.broken_settings import CANARY
from tests.support.devservers import Postgres, Valkey
from tests.support.devservers.servers import DevServer
from tests.support.faults.fault import Blackhole
from tests.support.faults.nameserver import Manner, command, name_server, unavailable
from tests.support.faults.proxy import proxy_in_thread
from tests.support.faults.redis import configured, forbidden
from tests.support.faults.servers import frozen
from tests.support.ports import free_port
from tests.unit.cli.conftest import Call
from tests.unit.cli.doctor.diagnosis import Ask, failed, parse, problems_by_row, run


@pytest.mark.parametrize(
    ("setting", "old", "new", "step", "reason"),
    [
        ("DATABASE_URL", "127.0.0.1", "nowhere.invalid", "dns", "dns"),
        ("REDIS_URL", ":{port}", ":{free}", "tcp", "refused"),
        ("DATABASE_URL", "/postgres", "/nothing", "auth", "misconfigured"),
        ("REDIS_URL", "/0", "/99", "auth", "misconfigured"),
        ("DATABASE_URL", "/postgres", "/postgres?sslmode=require", "tls", "tls"),
        ("REDIS_URL", "{port}", "{other}", "auth", "disconnected"),
    ],
    ids=["host", "port", "database", "number", "no TLS", "another service"],
)
def test_a_wrong_part_of_a_url_fails_its_step(
    ask: Ask,
    well: pytest.MonkeyPatch,
    postgres: Postgres,
    valkey: Valkey,
    setting: str,
    old: str,
    new: str,
    step: str,
    reason: str,
) -> None:
    """The steps before it have a time, and those after it have none."""
    url = os.environ[setting]
    ports = {"port": valkey.port, "other": postgres.port, "free": free_port()}
    well.setenv(setting, url.replace(old.format(**ports), new.format(**ports)))
    diagnosis = ask()
    name = "postgres" if setting == "DATABASE_URL" else "redis"
    assert failed(diagnosis, name) == (step, reason)
    assert list(diagnosis["checks"][name]["steps_ms"])[-1] == step


@pytest.mark.usefixtures("well")
def test_a_redis_that_hides_the_state_of_a_cluster_has_a_note(call: Call, valkey: Valkey) -> None:
    """It passes, but may belong to a Redis Cluster that is down."""
    with forbidden(valkey, "cluster|info"):
        shown = call("doctor", "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["checks"]["redis"]["notes"] == [str(HIDDEN_CLUSTER)]


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_wrong_password_fails_the_auth_step(ask: Ask, tmp_path: Path, name: str) -> None:
    """The reason is auth, too."""
    (tmp_path / f"{name}_password").write_text(CANARY)
    assert failed(ask(), name) == ("auth", "auth")


def test_a_needless_password_is_reported_with_the_setting(
    ask: Ask, well: pytest.MonkeyPatch, own_valkey: Valkey, tmp_path: Path
) -> None:
    """Any other password would be refused too."""
    well.setenv("REDIS_URL", own_valkey.url)
    (tmp_path / "redis_password").write_text(own_valkey.password_file.read_text())
    with configured(own_valkey, "requirepass", ""):
        diagnosis = ask()
    assert diagnosis["checks"]["redis"]["reason"] == "auth"
    assert problems_by_row(diagnosis).keys() == {"redis"}
    assert "REDIS_AUTH=none" in problems_by_row(diagnosis)["redis"]


def test_advice_on_a_check_that_passes_is_a_note() -> None:
    """It is no problem."""
    found = ProbeTrace(
        name="postgres",
        seconds={Stage.QUERY: 0.001},
        failed=None,
        advice=Advice("It is odd.", "Look at it."),
    )
    row = check_row(found, Settings())
    assert (row.problems, row.notes) == ([], ["It is odd. Look at it."])
    assert [*format_rows(HEADS["checks"], [row])][-1] == "  * It is odd. Look at it."


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        (Reason.DNS, Stage.DNS),
        (Reason.CONNECT_TIMEOUT, Stage.TCP),
        (Reason.TLS, Stage.TLS),
        (Reason.TIMEOUT, Stage.QUERY),
    ],
)
async def test_the_step_is_that_of_the_server_that_decides(reason: Reason, step: Stage) -> None:
    """Another server, which is asked at the same time, may be further."""

    async def probe() -> None:
        for stage in (Stage.TCP, Stage.AUTHENTICATION, Stage.QUERY):
            enter_stage(stage)

    recorder, now = StageRecorder(probe, Clock()), Clock().now()
    await recorder()
    known = Observation(check=Check(name="it", probe=probe), since=now)
    trace = recorder.trace(known.after(Result(at=now, latency=1, reason=reason)))
    assert trace.failed == (step, reason)


def test_a_missing_ca_file_is_no_missing_secret(
    environ: pytest.MonkeyPatch, call: Call, tmp_path: Path
) -> None:
    """Both are read before the first step."""
    environ.delenv("DATABASE_URL")
    environ.delenv("REDIS_URL")
    environ.setenv("CHECKS", '{"a": {"url": "https://127.0.0.1:1"}}')
    environ.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    row = json.loads(call("doctor", "--json").out)["checks"]["a"]
    assert (row["failed"], row["reason"]) == ("tls", "tls")
    assert row["problems"] == [str(ADVICE_BY_ERROR[CertificateFileError])]


def test_a_blocked_port_is_a_connect_timeout(
    ask: Ask, well: pytest.MonkeyPatch, postgres: Postgres
) -> None:
    """At the tcp step, when its time is over."""
    with proxy_in_thread("127.0.0.1", postgres.port) as proxy:
        proxy.break_with(Blackhole())
        well.setenv("DATABASE_URL", f"postgresql://vitals@127.0.0.1:{proxy.port}/postgres")
        well.setenv("POSTGRES_CHECK_TIMEOUT", "1")
        diagnosis = ask()
    assert failed(diagnosis, "postgres") == ("tcp", "connect_timeout")
    assert diagnosis["checks"]["postgres"]["steps_ms"]["tcp"] >= 200  # before it a password is read


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_frozen_server_is_a_timeout(
    ask: Ask,
    well: pytest.MonkeyPatch,
    own_postgres: Postgres,
    own_valkey: Valkey,
    tmp_path: Path,
    name: str,
) -> None:
    """The kernel accepts the connection, and the server does not answer."""
    server: DevServer = own_postgres if name == "postgres" else own_valkey
    well.setenv("DATABASE_URL" if name == "postgres" else "REDIS_URL", server.url)
    (tmp_path / f"{name}_password").write_text(server.password_file.read_text())
    well.setenv(f"{name.upper()}_CHECK_TIMEOUT", "0.3")
    with frozen(server):
        diagnosis = ask()
    assert failed(diagnosis, name) == ("auth", "timeout")


@pytest.fixture(name="names")
def _names() -> Iterator[str]:
    if why := unavailable():
        pytest.skip(why)
    with name_server({}) as names:
        names.manner = Manner.SILENT
        yield names.host


def test_a_silent_name_server_is_reported_in_time(
    well: pytest.MonkeyPatch, tmp_path: Path, names: str
) -> None:
    """The C library would wait for a minute, and delay the exit."""
    well.setenv("DATABASE_URL", "postgresql://vitals@pg.test/postgres")
    well.setenv("POSTGRES_CHECK_TIMEOUT", "0.3")
    before = tuple(command((), names, timeout=30))
    runs = [run(*more, before=before) for more in ((), ("--json",))]
    diagnosis = parse(runs[0], runs[1], tmp_path)
    assert failed(diagnosis, "postgres") == ("dns", "dns")
