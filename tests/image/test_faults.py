"""Faults in production show and recover without a restart."""

import contextlib
import dataclasses
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.image.stack import CommandFailedError, Stack, until
from tests.support.pages import shown


DRAIN = 5.0
GRACE = 20.0


def test_a_stopped_store_makes_the_container_unhealthy_until_it_is_back(
    breakable: Stack,
) -> None:
    """Meanwhile the service is live and reports the reason."""
    before = breakable.starts()
    breakable.compose("stop", "postgres")
    until(breakable.health, "unhealthy", within=20)
    assert breakable.reason("postgres") in {"dns", "connect_timeout", "unreachable", "timeout"}
    assert breakable.ask("/health/live")[0] == 200
    breakable.compose("start", "postgres")
    until(breakable.health, "healthy", within=20)
    assert breakable.starts() == before


def test_a_migration_waits_for_the_database_and_the_application_for_the_migration(
    breakable: Stack,
) -> None:
    """The migration is the command of `vitals wait`."""
    files = f"{breakable.files}:tests/image/compose.migration.yaml"
    shop = dataclasses.replace(breakable, files=files)
    shop.compose("stop", "postgres")
    with ThreadPoolExecutor() as threads:
        starting = threads.submit(shop.compose, "up", "--no-build", "--detach", "application")
        until(lambda: "postgres: dns" in shop.compose("logs", "migration"), wanted=True, within=20)
        assert shop.compose("ps", "--quiet", "application") == ""
        shop.compose("start", "postgres")
        starting.result(timeout=60)
    until(lambda: "served" in shop.compose("logs", "application"), wanted=True, within=20)
    shop.compose("rm", "--force", "migration", "application")
    until(shop.health, "healthy", within=20)


@pytest.mark.parametrize(("name", "heading"), [("postgres", "PostgreSQL"), ("redis", "Redis")])
def test_the_readmes_steps_rotate_a_password_without_a_restart(
    breakable: Stack, name: str, heading: str
) -> None:
    """Afterwards the new password passes and the old one fails with `auth`."""
    file = breakable.folder / f"secrets/{name}_password.txt"
    before, old = breakable.starts(), file.read_text()
    (function,), (steps,) = (shown("secrets/README.md", one) for one in ("Rotate", heading))
    breakable.run_shown(function.text + steps.text)
    new = file.read_text()
    assert new != old
    # An open session can't cause either result: the service reconnects each second.
    for content, reason in ((old, "auth"), (new, None)):
        file.chmod(0o644)
        file.write_text(content)
        until(lambda: breakable.reason(name), reason, within=10)
    assert breakable.starts() == before
    assert breakable.starts(name)[1] == 0


def ask(address: str, path: str) -> int:
    """Send a GET request to the container's address, read the body, and return the status code."""
    connection = http.client.HTTPConnection(address, 8000, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status


class Client(threading.Thread):
    """Sends requests on new connections until one fails.

    Attributes:
        replies: the time and status code of each answer.
        failed: the time and error of the failed request.
    """

    def __init__(self, address: str, path: str) -> None:
        super().__init__(daemon=True)
        self.replies: list[tuple[float, int]] = []
        self.failed: tuple[float, str] | None = None
        self._url = (address, path)

    def run(self) -> None:
        """Send requests."""
        while not self.failed:
            try:
                code = ask(*self._url)
            except (OSError, http.client.HTTPException) as error:
                self.failed = (time.monotonic(), repr(error))
            else:
                self.replies.append((time.monotonic(), code))


def test_a_stop_under_load_fails_no_request_during_the_drain(breakable: Stack) -> None:
    """Then the service exits with 0 within the grace period."""
    # Not the published port: Docker's proxy accepts connections that the backend refuses.
    (address,) = {
        network["IPAddress"]
        for name, network in breakable.inspect("backend")["NetworkSettings"]["Networks"].items()
        if name.endswith("edge")
    }
    clients = [Client(address, path) for path in ("/health/live", "/health/ready") * 3]
    for client in clients:
        client.start()
    until(lambda: min(len(client.replies) for client in clients) > 10, wanted=True, within=10)
    stopped = time.monotonic()
    breakable.compose("stop", "backend")
    took = time.monotonic() - stopped
    for client in clients:
        client.join(10)
    assert min(client.failed[0] for client in clients if client.failed) >= stopped + DRAIN
    live, ready = clients[::2], clients[1::2]
    assert {code for client in live for _, code in client.replies} == {200}
    for client in ready:
        codes = [code for _, code in client.replies]
        assert codes == sorted(codes)  # not ready once, it does not become ready again
        assert codes[-1] == 503
    assert breakable.inspect("backend")["State"]["ExitCode"] == 0
    assert took < GRACE
    breakable.compose("start", "backend")
    until(breakable.health, "healthy", within=20)


def test_the_start_fails_with_one_line_if_a_secret_is_readable_for_its_owner_only(
    breakable: Stack,
) -> None:
    """The line names the file, its owner and mode, the reader and the remedy."""
    file = breakable.folder / "secrets/jwt_secret.txt"
    file.chmod(0o600)
    start = ("run", "--rm", "--no-deps", "-T", "-e", "HEALTH_DETAILS=authorized", "backend")
    with pytest.raises(CommandFailedError) as failed:
        breakable.compose(*start)
    assert failed.value.code == 78
    assert failed.value.stderr == (
        "vitals: jwt_secret: /run/secrets/jwt_secret can't be read by uid 10001"
        f" (owner {file.stat().st_uid}, mode 0600)."
        " Set its mode to 0444, and that of its folder to 0700.\n"
    )
