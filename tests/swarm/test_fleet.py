"""The stack on a real Swarm of one node: nothing that is planned fails a request."""

import json
import re
from datetime import UTC, datetime
from functools import partial

import pytest

from tests.image.stack import CommandFailedError, run, until
from tests.pages import shown
from tests.swarm.fleet import Fleet, containers


RESTARTS = 10

# The client believes an address for as long as a task drains.
DRAIN = 5.0

# Failures after which the engine would call a task unhealthy.
RETRIES = 3

THREE = {"REPLICAS": "3"}
REDIS_ROTATED = {**THREE, "REDIS_PASSWORD_VERSION": "2"}


def test_a_task_has_no_rights_and_its_secrets(deployed: Fleet) -> None:
    """Its user is a number without capabilities, and it alone reads what it is given."""
    (task, *_) = deployed.tasks
    status = run("docker", "exec", task, "cat", "/proc/1/status")
    assert re.findall(r"^Uid:\t(\d+)", status, re.MULTILINE) == ["10001"]
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.MULTILINE)) == {"0" * 16}
    mounts = {
        (fields := line.split())[1]: fields[3].split(",")
        for line in run("docker", "exec", task, "cat", "/proc/1/mounts").splitlines()
    }
    assert "ro" in mounts["/"]
    assert {"rw", "noexec", "nosuid", "nodev"} <= set(mounts["/tmp"])  # noqa: S108
    told = run("docker", "exec", task, "sh", "-c", "cd /run/secrets && stat -c '%n %u:%g %a' *")
    assert told.splitlines() == [
        f"{name} 10001:10001 400" for name in ("jwt_secret", "postgres_password", "redis_password")
    ]


def test_it_grows_to_three_under_load(deployed: Fleet) -> None:
    """A new task is given out when it is healthy, which it is when it has asked its stores."""
    with deployed.asked(DRAIN) as told:
        deployed.scale(deployed.service, 3)
        until(lambda: len(deployed.healthy), 3, within=30)
    assert told["failures"] == []
    assert deployed.ready() == {200}


def test_no_request_fails_in_ten_rolling_restarts(deployed: Fleet) -> None:
    """Each replaces all three tasks; who believes an old address, or asks for readiness, too."""
    deployed.scale(deployed.service, 3)
    replaced = set[str]()
    with deployed.asked(DRAIN) as told:
        for _ in range(RESTARTS):
            before = set(deployed.tasks)
            deployed.update("--force")
            until(lambda: deployed.updated, "completed", within=90)
            until(partial(deployed.replaced, before), 3, within=30)
            replaced |= before
    assert len(replaced) == RESTARTS * 3
    assert told["failures"] == []
    assert len(told["addresses"]) > RESTARTS
    assert min(told["answers"]) > 1000
    gone = containers(deployed.service, "status=exited")
    assert {
        known["State"]["ExitCode"] for known in json.loads(run("docker", "inspect", *gone))
    } == {0}


def test_an_update_that_cant_start_is_taken_back(deployed: Fleet) -> None:
    """The old tasks stay until a new one is healthy, which none becomes; no request fails."""
    before = set(deployed.tasks)
    with deployed.asked(DRAIN) as told:
        deployed.update("--env-add", "DRAIN_SECONDS=for ever")
        until(lambda: deployed.updated, "rollback_completed", within=90)
    assert told["failures"] == []
    assert set(deployed.tasks) == before


def test_a_database_that_is_down_restarts_nothing(deployed: Fleet) -> None:
    """No task is ready, and each is healthy, however often the engine has asked meanwhile."""
    before = set(deployed.tasks)
    deployed.scale(f"{deployed.stores}_postgres", 0)
    until(deployed.ready, {503}, within=10)
    known = datetime.now(UTC).isoformat()
    until(lambda: deployed.checked(known) > RETRIES, wanted=True, within=60)
    assert set(deployed.healthy) == set(deployed.tasks) == before
    deployed.scale(f"{deployed.stores}_postgres", 1)
    until(deployed.ready, {200}, within=30)
    assert set(deployed.tasks) == before


def test_passwords_are_rotated_as_the_docs_say(deployed: Fleet) -> None:
    """Word for word: the tasks are others then, and Redis' rotation has told nobody no."""
    (redis,), (postgres,) = (shown("docs/swarm.md", store) for store in ("Redis", "PostgreSQL"))
    deployed.scale(deployed.service, 3)
    before = set(deployed.tasks)
    with deployed.asked(DRAIN) as told:
        deployed.run("sh", "-ec", redis.text, **THREE)
    assert told["failures"] == []
    until(partial(deployed.replaced, before), 3, within=30)
    between = set(deployed.tasks)
    with deployed.asked(DRAIN) as told:
        deployed.run("sh", "-ec", postgres.text, **REDIS_ROTATED)
    assert [failure for failure in told["failures"] if "/health/live" in failure] == []
    until(partial(deployed.replaced, between), 3, within=30)
    assert deployed.ready() == {200}
    with pytest.raises(CommandFailedError, match="only updates to Labels are allowed"):
        deployed.deploy(**REDIS_ROTATED)
