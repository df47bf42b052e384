"""What goes wrong in production shows, and what is mended shows too, with no restart."""

import contextlib
import http.client
import threading
import time

import pytest

from tests.image.stack import CommandFailedError, Stack, until
from tests.pages import shown


DRAIN = 5.0
GRACE = 20.0


def test_a_store_that_stops_turns_the_container_unhealthy(breakable: Stack) -> None:
    """It goes on living, says why, and is healthy again when the store is."""
    before = breakable.lives()
    breakable.compose("stop", "postgres")
    until(breakable.health, "unhealthy", within=20)
    assert breakable.reason("postgres") in {"dns", "connect_timeout", "unreachable", "timeout"}
    assert breakable.ask("/health/live")[0] == 200
    breakable.compose("start", "postgres")
    until(breakable.health, "healthy", within=20)
    assert breakable.lives() == before


@pytest.mark.parametrize(("name", "heading"), [("postgres", "PostgreSQL"), ("redis", "Redis")])
def test_a_password_is_rotated_as_the_readme_says(
    breakable: Stack, name: str, heading: str
) -> None:
    """Word for word; then the new password opens, the old one does not, and nothing restarts."""
    file = breakable.folder / f"secrets/{name}_password.txt"
    before, old = breakable.lives(), file.read_text()
    (steps,) = shown("secrets/README.md", heading)
    breakable.run("sh", "-ec", steps.text)
    new = file.read_text()
    assert new != old
    # Neither is true by an open session: one is made anew each second.
    for content, reason in ((old, "auth"), (new, None)):
        file.chmod(0o644)
        file.write_text(content)
        until(lambda: breakable.reason(name), reason, within=10)
    assert breakable.lives() == before
    assert breakable.lives(name)[1] == 0


def ask(address: str, path: str) -> int:
    """Put one request to the container itself, and tell the code when all has come."""
    connection = http.client.HTTPConnection(address, 8000, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status


class Asker(threading.Thread):
    """Asks over and over, on a connection each time, until there is nobody to connect to.

    Attributes:
        replies: when each answer came, and its code.
        failed: when there was none, and why.

    """

    def __init__(self, address: str, path: str) -> None:
        super().__init__(daemon=True)
        self.replies: list[tuple[float, int]] = []
        self.failed: tuple[float, str] | None = None
        self._url = (address, path)

    def run(self) -> None:
        """Ask."""
        while not self.failed:
            try:
                code = ask(*self._url)
            except (OSError, http.client.HTTPException) as error:
                self.failed = (time.monotonic(), repr(error))
            else:
                self.replies.append((time.monotonic(), code))


def test_a_stop_under_load_fails_no_request(breakable: Stack) -> None:
    """Until the door closes, which is when the drain is over; then it ends with 0, in time."""
    # Docker's proxy would accept what the backend no longer does.
    (address,) = {
        network["IPAddress"]
        for name, network in breakable.inspect("backend")["NetworkSettings"]["Networks"].items()
        if name.endswith("edge")
    }
    askers = [Asker(address, path) for path in ("/health/live", "/health/ready") * 3]
    for asker in askers:
        asker.start()
    until(lambda: min(len(asker.replies) for asker in askers) > 10, wanted=True, within=10)
    told = time.monotonic()
    breakable.compose("stop", "backend")
    took = time.monotonic() - told
    for asker in askers:
        asker.join(10)
    assert min(asker.failed[0] for asker in askers if asker.failed) >= told + DRAIN
    live, ready = askers[::2], askers[1::2]
    assert {code for asker in live for _, code in asker.replies} == {200}
    for asker in ready:
        codes = [code for _, code in asker.replies]
        assert codes == sorted(codes)  # once it says no, it does not say yes again
        assert codes[-1] == 503
    assert breakable.inspect("backend")["State"]["ExitCode"] == 0
    assert took < GRACE
    breakable.compose("start", "backend")
    until(breakable.health, "healthy", within=20)


def test_a_secret_that_only_its_owner_reads_fails_the_start_in_one_line(breakable: Stack) -> None:
    """The line names file, owner, mode, reader and remedy."""
    file = breakable.folder / "secrets/jwt_secret.txt"
    file.chmod(0o600)
    start = ("run", "--rm", "--no-deps", "-T", "-e", "HEALTH_DETAILS=authorized", "backend")
    with pytest.raises(CommandFailedError) as failed:
        breakable.compose(*start)
    assert failed.value.code == 78
    assert failed.value.told == (
        "vitals: jwt_secret: /run/secrets/jwt_secret can't be read by uid 10001"
        f" (owner {file.stat().st_uid}, mode 0600): chmod 0444 it and keep its folder 0700\n"
    )
