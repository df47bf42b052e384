"""The commands of docs/production.md, run on one deployment."""

import contextlib
import dataclasses
import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest

from app import __version__
from tests.image.conftest import INTENDED
from tests.image.stack import Stack, operated, run, until
from tests.support.pages import Block, alike, shown
from tests.support.ports import free_port


# The version before, and the tags of both versions on the page.
BEFORE = "1.0.0"
TAGS = {BEFORE: "v1.0.0", __version__: "v2.0.0"}
STATE = ["app/__init__.py", "docker/Dockerfile", "compose.production.yaml"]
GIT = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org")

(LOOK,) = shown("docs/production.md", "Look")
(UPGRADE,) = shown("docs/production.md", "Upgrade")
(GO_BACK,) = shown("docs/production.md", "Go back")
(REPLACE,) = shown("docs/production.md", "Two instances")
BACK_UP, RESTORE_POSTGRES, RESTORE_REDIS = shown("docs/production.md", "Back up and restore")
(LEAVE_OUT,) = shown("docs/production.md", "Leave a store out")
(REMOVE,) = shown("docs/production.md", "Remove")

# The deployments of these tests drain for this long. The page has the time for the default.
DRAIN = 1
LONGEST_SILENCE = 8

# A command that restarts the engine of this machine. Other containers would stop too.
RESTART_ENGINE = os.environ.get("RESTART_ENGINE")


@pytest.fixture(name="operator", scope="module")
def _operator() -> Iterator[Stack]:
    """A deployment of the version before, as a user of Docker has made it from a git repository."""
    with operated() as deployment:
        deployment.run("git", "init", "--quiet")
        commit(deployment, __version__)
        for name in STATE:
            file = deployment.folder / name
            file.write_text(file.read_text().replace(__version__, BEFORE))
        commit(deployment, BEFORE)
        copy, *others = [command for command, _ in INTENDED.exchanges]
        settings = f"echo DRAIN_SECONDS={DRAIN} >> .env"
        others = [
            command.replace(f"vitals:{__version__}", f"{deployment.project}:{BEFORE}")
            for command in others
        ]
        deployment.run_shown("\n".join([copy, settings, *others]))
        yield deployment


def commit(operator: Stack, version: str) -> None:
    """Commit the files of the checkout, and tag the commit as on the page."""
    operator.run(*GIT, "add", "--all")
    operator.run(*GIT, "commit", "--quiet", "--message", version)
    operator.run(*GIT, "tag", TAGS[version])


def type_commands(operator: Stack, block: Block) -> None:
    """Run the commands of a block."""
    operator.run_shown("\n".join(command for command, _ in block.exchanges) or block.text)


def version(operator: Stack) -> str:
    """Return the version that runs. The name of its image agrees."""
    stated = operator.exec("backend", "vitals", "--version").split()[-1]
    assert operator.inspect("backend")["Config"]["Image"] == f"{operator.project}:{stated}"
    return stated


def redis(operator: Stack, *command: str) -> str:
    """Run a command of Redis, and return its reply."""
    script = 'REDISCLI_AUTH=$(cat /run/secrets/redis_password) exec redis-cli -e "$@"'
    return operator.exec("redis", "sh", "-c", script, "sh", *command).strip()


def sql(operator: Stack, statement: str) -> str:
    """Run a statement, and return its result."""
    return operator.exec("postgres", "psql", "-U", "vitals", "-tAqc", statement).strip()


def readiness(port: int) -> int:
    """Return the status code of readiness, or 0 if there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/health/ready")
        return connection.getresponse().status
    return 0


class Poll(threading.Thread):
    """Requests the readiness of instances again and again.

    Attributes:
        rounds: the time of each round, and the code of each instance.
    """

    def __init__(self, *ports: int) -> None:
        super().__init__(daemon=True)
        self.rounds: list[tuple[float, list[int]]] = []
        self._ports = ports
        self._over = threading.Event()

    def run(self) -> None:
        """Send requests until the end."""
        while not self._over.wait(0.02):
            self.rounds.append((time.monotonic(), [readiness(port) for port in self._ports]))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.join()


def test_the_state_and_the_log_look_as_on_the_page(operator: Stack) -> None:
    """All containers are healthy, the log has events, and the doctor finds nothing."""
    (ps, table), (logs, _), (doctor, _) = LOOK.exchanges
    seen = operator.run("sh", "-c", ps)
    assert alike(table, seen), seen
    assert '"event": "service started"' in operator.run("sh", "-c", logs)
    assert "postgres" in operator.run("sh", "-c", doctor.replace("exec ", "exec -T "))


def test_an_upgrade_and_the_way_back_with_one_instance(operator: Stack) -> None:
    """Data stays. The gap is that of the page: the drain, and some seconds without an answer.

    `up` replaces an image that another checkout has built, here any image with the same tag.
    """
    run("docker", "tag", "redis:8-trixie", operator.image)
    sql(operator, "CREATE TABLE kept AS SELECT 42")
    for block, expected in ((UPGRADE, __version__), (GO_BACK, BEFORE)):
        with Poll(operator.port) as poll:
            type_commands(operator, block)
            until(lambda: readiness(operator.port), 200, within=20)
        assert version(operator) == expected
        red = [(at, code) for at, (code,) in poll.rounds if code != 200]
        silent = [at for at, code in red if code == 0]
        assert {code for _, code in red} == {0, 503}
        assert red[0][1] == 503  # a balancer learns of the stop before the end
        # The drain has begun after the last success, and before the first 503 was seen.
        last_success = max(at for at, (code,) in poll.rounds if code == 200 and at < red[0][0])
        assert silent[0] - last_success >= DRAIN
        assert red[-1][0] - silent[0] < LONGEST_SILENCE
    assert sql(operator, "TABLE kept") == "42"
    sql(operator, "DROP TABLE kept")


def adjacent_ports() -> tuple[int, int]:
    """Return two free ports."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", first + 1)):
            return first, first + 1


def test_two_instances_are_replaced_without_a_moment_that_none_is_ready(operator: Stack) -> None:
    ports = adjacent_ports()
    settings = {"PORT": "{}-{}".format(*ports), "REPLICAS": "2"}
    both = dataclasses.replace(operator, settings={**operator.settings, **settings})
    both.compose("up", "--detach", "--wait")
    try:
        for block, expected in ((UPGRADE, __version__), (GO_BACK, BEFORE)):
            checkout, _ = block.exchanges[0]
            with Poll(*ports) as poll:
                both.run_shown(f"{checkout}\ndocker compose build\n{REPLACE.text}")
            assert all(200 in codes for _, codes in poll.rounds)
            assert {code for _, codes in poll.rounds for code in codes} == {0, 200, 503}
            running = both.compose("images", "backend", "--format", "json")
            assert running.count(f'"Tag":"{expected}"') == 2
    finally:
        operator.compose("up", "--detach", "--wait")


def test_a_backup_restores_what_both_stores_had(operator: Stack) -> None:
    """They lose what came later."""
    sql(operator, "CREATE TABLE saved AS SELECT 1 AS number")
    assert redis(operator, "SET", "saved", "1") == "OK"
    type_commands(operator, BACK_UP)
    sql(operator, "UPDATE saved SET number = 2")
    redis(operator, "SET", "saved", "2")
    redis(operator, "SET", "later", "2")
    type_commands(operator, RESTORE_POSTGRES)
    type_commands(operator, RESTORE_REDIS)
    until(lambda: operator.health("redis"), "healthy", within=40)
    assert sql(operator, "TABLE saved") == "1"
    assert redis(operator, "MGET", "saved", "later").split() == ["1"]
    # A restart reads the restored data again.
    operator.compose("restart", "redis")
    until(lambda: operator.health("redis"), "healthy", within=40)
    assert redis(operator, "GET", "saved") == "1"
    until(lambda: readiness(operator.port), 200, within=10)


def test_a_crashed_process_starts_again_and_a_killed_container_does_not(operator: Stack) -> None:
    """Until `up`."""
    _, restarts = operator.starts()
    # Every process that this one may signal, except the first one.
    operator.compose("exec", "-T", "backend", "sh", "-c", "kill -KILL -1 || true; exit 0")
    until(lambda: operator.starts()[1], restarts + 1, within=10)
    until(lambda: readiness(operator.port), 200, within=20)
    operator.compose("kill", "backend")
    redis(operator, "PING")
    state = operator.inspect("backend")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    operator.compose("up", "--detach", "--wait")
    assert readiness(operator.port) == 200


@pytest.mark.skipif(not RESTART_ENGINE, reason="RESTART_ENGINE has no command")
def test_a_restart_of_the_engine_starts_every_container(operator: Stack) -> None:
    """Stopped ones too."""
    operator.compose("stop", "redis")
    run("sh", "-c", str(RESTART_ENGINE))
    until(lambda: readiness(operator.port), 200, within=60)


def test_a_store_that_is_left_out_has_no_container_and_no_check(operator: Stack) -> None:
    type_commands(operator, LEAVE_OUT)
    assert set(operator.ask("/health")[1]["checks"]) == {"postgres"}
    assert operator.compose("ps", "--all", "--services").split() == ["backend", "postgres"]


def test_removal_deletes_data_only_if_told_to(operator: Stack) -> None:
    volumes = ("docker", "volume", "ls", "--quiet", "--filter", f"name={operator.project}")
    before = run(*volumes)
    assert f"{operator.project}_postgres-data" in before
    type_commands(operator, REMOVE)
    assert operator.containers == []
    assert run(*volumes) == before
    ((command, _),) = REMOVE.exchanges
    operator.run("sh", "-c", f"{command} --volumes")
    assert run(*volumes) == ""
    assert len(list(operator.folder.glob("secrets/*.txt"))) == 6
