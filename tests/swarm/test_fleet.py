"""The stack on a real Swarm of one node. No planned operation fails a request."""

import json
import re
from datetime import UTC, datetime
from functools import partial

import pytest

from tests.image.stack import CommandFailedError, run, until
from tests.support.pages import shown
from tests.swarm.fleet import Fleet, containers


RESTARTS = 10

# The client caches addresses for as long as a task drains.
DRAIN = 5.0

# Failures that make a task unhealthy.
RETRIES = 3

THREE = {"REPLICAS": "3"}
REDIS_ROTATED = {**THREE, "REDIS_PASSWORD_VERSION": "2"}


def test_a_task_is_unprivileged_and_only_it_can_read_its_secrets(deployed: Fleet) -> None:
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
    listed = run("docker", "exec", task, "sh", "-c", "cd /run/secrets && stat -c '%n %u:%g %a' *")
    assert listed.splitlines() == [
        f"{name} 10001:10001 400" for name in ("jwt_secret", "postgres_password", "redis_password")
    ]


def test_maintenance_survives_the_end_of_its_task(deployed: Fleet) -> None:
    """The file is on the volume of the task's slot. Other tasks do not read it."""
    before = set(deployed.tasks)
    task = min(before)
    run("docker", "exec", task, "vitals", "maintenance", "on")
    run("docker", "kill", task)
    until(lambda: len(set(deployed.healthy) - before), 1, within=60)
    (after,) = set(deployed.tasks) - before
    assert deployed.ready() == {200, 503}
    run("docker", "exec", after, "vitals", "maintenance", "off")
    assert deployed.ready() == {200}


def test_scaling_up_under_load_fails_no_request(deployed: Fleet) -> None:
    """Swarm publishes a new task's address once it is healthy, after its first checks."""
    with deployed.under_load(DRAIN) as results:
        deployed.scale(deployed.service, 3)
        until(lambda: len(deployed.healthy), 3, within=30)
    assert results["failures"] == []
    assert deployed.ready() == {200}


def test_no_request_fails_in_ten_rolling_restarts(deployed: Fleet) -> None:
    """Neither liveness at cached addresses nor readiness. Each restart replaces all three tasks."""
    deployed.scale(deployed.service, 3)
    replaced = set[str]()
    with deployed.under_load(DRAIN) as results:
        for _ in range(RESTARTS):
            before = set(deployed.tasks)
            deployed.update("--force")
            until(lambda: deployed.updated, "completed", within=90)
            until(partial(deployed.replaced, before), 3, within=30)
            replaced |= before
    assert len(replaced) == RESTARTS * 3
    assert results["failures"] == []
    assert len(results["addresses"]) > RESTARTS
    assert min(results["answers"]) > 1000
    gone = containers(deployed.service, "status=exited")
    assert {task["State"]["ExitCode"] for task in json.loads(run("docker", "inspect", *gone))} == {
        0
    }


def test_an_update_that_can_not_start_is_rolled_back(deployed: Fleet) -> None:
    """The old tasks keep running, and no request fails."""
    before = set(deployed.tasks)
    with deployed.under_load(DRAIN) as results:
        deployed.update("--env-add", "DRAIN_SECONDS=for ever")
        until(lambda: deployed.updated, "rollback_completed", within=90)
    assert results["failures"] == []
    assert set(deployed.tasks) == before


def test_a_database_outage_restarts_no_task(deployed: Fleet) -> None:
    """No task is ready, but all stay healthy for more checks than the engine's retries."""
    before = set(deployed.tasks)
    deployed.scale(f"{deployed.stores}_postgres", 0)
    until(deployed.ready, {503}, within=10)
    since = datetime.now(UTC).isoformat()
    until(lambda: deployed.checked(since) > RETRIES, wanted=True, within=60)
    assert set(deployed.healthy) == set(deployed.tasks) == before
    deployed.scale(f"{deployed.stores}_postgres", 1)
    until(deployed.ready, {200}, within=30)
    assert set(deployed.tasks) == before


def test_the_steps_of_the_docs_rotate_the_passwords(deployed: Fleet) -> None:
    """They replace all tasks. No request fails during Redis' rotation."""
    (redis,), (postgres,) = (shown("docs/swarm.md", store) for store in ("Redis", "PostgreSQL"))
    deployed.scale(deployed.service, 3)
    before = set(deployed.tasks)
    with deployed.under_load(DRAIN) as results:
        deployed.run("sh", "-ec", redis.text, **THREE)
    assert results["failures"] == []
    until(partial(deployed.replaced, before), 3, within=30)
    between = set(deployed.tasks)
    with deployed.under_load(DRAIN) as results:
        deployed.run("sh", "-ec", postgres.text, **REDIS_ROTATED)
    assert [failure for failure in results["failures"] if "/health/live" in failure] == []
    until(partial(deployed.replaced, between), 3, within=30)
    assert deployed.ready() == {200}
    with pytest.raises(CommandFailedError, match="only updates to Labels are allowed"):
        deployed.deploy(**REDIS_ROTATED)
