"""Notifications of changed readiness, and heartbeats, sent to a server that misbehaves."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.api.verdict import Snapshot
from app.health import Check, Instant, Observation, Reason, Report, Status
from app.lifecycle import Phase
from app.notifications import MAX_PAUSE, TIMEOUT, Notifier, Sender, open_connection_checks
from app.settings import Settings
from app.settings.secrets import SecretStore
from tests.support.devservers import Valkey
from tests.support.fakes import answers
from tests.support.faults.servers import killed
from tests.support.ports import free_port
from tests.support.service import Service, on, running, wait_for
from tests.unit.checks.http_server import Answer, resets, says, serving
from tests.unit.cli.conftest import end, start


CHECK = Check(name="redis", probe=answers)

# Bytes. What kept a kilobyte of each failed request would exceed it in a few thousand.
GROWTH = 2_000_000

ACCEPTED = b"HTTP/1.1 204 No Content\r\n\r\n"

ANSWERS: dict[str, Answer] = {
    "500": says(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"),
    "redirect": says(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n"),
    "no HTTP": says(b"220 mail ESMTP\r\n\r\n"),
    "reset": resets,
}


class Receiver:
    """A receiver of notifications that fails while *is_down*."""

    def __init__(self) -> None:
        self.is_down = False
        self.attempts = 0
        self.received: list[dict[str, Any]] = []

    async def __call__(self, body: bytes) -> None:
        """Receive a notification."""
        self.attempts += 1
        if self.is_down:
            raise ConnectionError
        self.received.append(json.loads(body))


class Instance:
    """The state that a notifier sees, and its clock."""

    def __init__(self) -> None:
        self.now = Instant(0.0, 1_000_000.0)
        self.phase = Phase.SERVING
        self.status = Status.PASS

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        reason = None if self.status is Status.PASS else Reason.REFUSED
        known = Observation(check=CHECK, since=self.now, status=self.status, reason=reason)
        return Snapshot(self.now, Report((known,)), self.phase)


@pytest.fixture(name="instance")
def _instance() -> Instance:
    return Instance()


@pytest.fixture(name="receiver")
def _receiver() -> Receiver:
    return Receiver()


def notify(
    instance: Instance, receiver: Receiver, *, shows_checks: bool = True
) -> Callable[[float], None]:
    """Return a function that lets seconds pass, with an attempt in each."""
    notifier = Notifier(instance.snapshot, receiver, "host-1", shows_checks)

    def passes(seconds: float) -> None:
        for _ in range(int(seconds)):
            instance.now += 1
            try:
                asyncio.run(notifier())
            except ConnectionError:
                continue

    return passes


def test_each_change_of_readiness_is_sent_once(instance: Instance, receiver: Receiver) -> None:
    """The state at the start is no change."""
    passes = notify(instance, receiver)
    passes(3)
    for status in (Status.FAIL, Status.PASS):
        instance.status = status
        passes(3)
    failed, recovered = receiver.received
    assert failed["text"] == failed["content"] == "host-1: fail (redis refused)"
    members = ("service", "instance", "status", "previous")
    assert [failed[name] for name in members] == ["vitals", "host-1", "fail", "pass"]
    assert failed["since"] == "1970-01-12T13:46:44.000Z"
    assert failed["checks"]["redis"]["reason"] == "refused"
    assert (recovered["status"], recovered["text"]) == ("pass", "host-1: pass")
    assert receiver.attempts == 2


def test_checks_are_not_sent_if_no_one_may_see_details(
    instance: Instance, receiver: Receiver
) -> None:
    """Neither in the text."""
    passes = notify(instance, receiver, shows_checks=False)
    passes(1)
    instance.status = Status.FAIL
    passes(1)
    assert receiver.received[0]["text"] == "host-1: fail"
    assert "checks" not in receiver.received[0]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.MAINTENANCE, Phase.DRAINING])
def test_only_a_serving_instance_notifies(
    instance: Instance, receiver: Receiver, phase: Phase
) -> None:
    """A change during maintenance is sent after it."""
    passes = notify(instance, receiver)
    passes(1)
    instance.phase, instance.status = phase, Status.FAIL
    passes(3)
    assert not receiver.received
    instance.phase = Phase.SERVING
    passes(1)
    assert [one["status"] for one in receiver.received] == ["fail"]


def test_a_dead_receiver_is_tried_ever_more_seldom(instance: Instance, receiver: Receiver) -> None:
    """After 1, 2, 4 s and so on, and at most each minute; the newest state arrives."""
    passes = notify(instance, receiver)
    passes(1)
    receiver.is_down, instance.status = True, Status.FAIL
    passes(600)
    assert 600 / MAX_PAUSE <= receiver.attempts <= 600 / MAX_PAUSE + 6
    instance.status = Status.PASS
    receiver.is_down = False
    passes(1)
    assert [(one["status"], one["previous"]) for one in receiver.received] == [("pass", "fail")]
    passes(100)
    assert len(receiver.received) == 1


def sender(tmp_path: Path, url: str) -> tuple[Sender, dict[str, int], Path]:
    """Return a sender, its counts, and the file of its secret."""
    file = tmp_path / "notify_url"
    file.write_text(url)
    counts = dict[str, int]()

    def count(_kind: str, result: str, number: int) -> None:
        counts[result] = counts.get(result, 0) + number

    store = SecretStore(lambda _name: file.read_text())
    return Sender("notification", "notify_url", store, count), counts, file


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_other_answers_are_failures(
    tmp_path: Path, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """Logged once in a series, without the URL."""
    caplog.set_level("INFO")
    async with serving(answer) as server:
        sending, counts, _ = sender(tmp_path, f"http://127.0.0.1:{server.port}/hook/canary")
        for _ in range(2):
            with pytest.raises(Exception):  # noqa: B017, PT011 - each answer has its own error
                await sending.send("POST", b"{}")
        server.answer = says(ACCEPTED)
        await sending.send("POST", b"{}")
    assert len(server.asked) == 3
    assert counts == {"sent": 1, "failed": 2}
    events = ["notifications failing", "notifications delivered again"]
    assert [record.message for record in caplog.records] == events
    assert "canary" not in str([vars(record) for record in caplog.records])


async def test_a_url_is_read_again_for_each_request(tmp_path: Path) -> None:
    """A replaced secret needs no restart; an unreadable one fails the request."""
    async with serving(ACCEPTED) as old, serving(ACCEPTED) as new:
        sending, counts, file = sender(tmp_path, f"http://127.0.0.1:{old.port}/one?key=1")
        await sending.send("GET")
        file.write_text(f"http://127.0.0.1:{new.port}/two")
        await sending.send("POST", b'{"a": 1}')
        file.write_text("nonsense")
        with pytest.raises(ValueError, match="must have the form"):
            await sending.send("GET")
    assert old.asked[0].startswith("GET /one?key=1 HTTP/1.1\r\n")
    assert new.asked[0].startswith("POST /two HTTP/1.1\r\n")
    assert "Content-Type: application/json\r\nContent-Length: 8\r\n" in new.asked[0]
    assert counts == {"sent": 2, "failed": 1}


async def test_a_service_notifies_of_an_outage_and_its_end(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    """And sends heartbeats while it is ready. The receivers' trouble changes no status."""
    async with serving(ACCEPTED) as hook, serving(ACCEPTED) as monitor:
        (tmp_path / "hook").write_text(f"http://127.0.0.1:{hook.port}/hook\n")
        (tmp_path / "beat").write_text(f"http://127.0.0.1:{monitor.port}/beat")
        environ = {
            **on(valkey=own_valkey),
            "NOTIFY_URL_FILE": str(tmp_path / "hook"),
            "HEARTBEAT_URL_FILE": str(tmp_path / "beat"),
            "HEARTBEAT_INTERVAL": "0.1",
            "INSTANCE_NAME": "host-1",
        }

        def observe() -> None:
            with running(environ, tmp_path / "log") as service:
                service.until("redis", None, 5)
                wait_for(lambda: len(monitor.asked) > 15)  # the state has been seen
                with killed(own_valkey):
                    service.until("redis", "refused", 5)
                    wait_for(lambda: len(hook.asked) == 1)
                service.until("redis", None, 5)
                wait_for(lambda: len(hook.asked) == 2)
                metrics = service.ask("/metrics").body.decode()
                assert (
                    'health_notifications_total{kind="notification",result="sent"} 2.0' in metrics
                )
                assert 'health_notifications_total{kind="heartbeat",result="failed"} 0.0' in metrics

        await asyncio.to_thread(observe)
    assert hook.asked[0].startswith("POST /hook HTTP/1.1\r\n")


def requests(service: Service, kind: str, result: str) -> float:
    """Return how many requests of a kind had this result."""
    sample = f'health_notifications_total{{kind="{kind}",result="{result}"}} '
    return float(service.ask("/metrics").body.decode().partition(sample)[2].partition("\n")[0])


def another(service: Service, kind: str, result: str) -> Callable[[], bool]:
    """Return a predicate: whether more requests than now have had this result."""
    before = requests(service, kind, result)
    return lambda: requests(service, kind, result) > before


async def test_trouble_of_the_receivers_changes_no_status(
    own_valkey: Valkey, tmp_path: Path
) -> None:
    """The newest state arrives as soon as they are back. Nothing grows, not even the log."""
    hook, beat = tmp_path / "hook", tmp_path / "beat"
    environ = {
        **on(valkey=own_valkey),
        "NOTIFY_URL_FILE": str(hook),
        "HEARTBEAT_URL_FILE": str(beat),
        "HEARTBEAT_INTERVAL": "0.05",
    }
    async with serving(ACCEPTED) as receiver:

        def use(port: int, answer: Any) -> None:
            receiver.answer = answer
            for file in (hook, beat):
                file.write_text(f"http://127.0.0.1:{port}/")

        def survive(service: Service) -> None:
            """Fail and recover while the receivers are in trouble."""
            with killed(own_valkey):
                service.until("redis", "refused", 5)
                wait_for(another(service, "notification", "failed"), TIMEOUT + 3)
                assert service.reason("redis") == "refused"
            service.until("redis", None, 5)
            wait_for(another(service, "heartbeat", "failed"), TIMEOUT + 3)
            assert service.ask("/health/ready").code == 200

        def observe() -> None:
            use(receiver.port, says(ACCEPTED))
            with running(environ, tmp_path / "log") as service:
                service.until("redis", None, 5)
                # After so many heartbeats the notifier, too, knows that the instance is ready.
                wait_for(lambda: requests(service, "heartbeat", "sent") > 30)
                process = psutil.Process(service.process.pid)
                size = service.descriptors() + process.num_threads()
                memory = 0
                for answer in (says(b""), None, ANSWERS["500"], ANSWERS["redirect"]):
                    # A heartbeat that has read the URL before may still come to the receiver.
                    use(receiver.port if answer else free_port(), answer or says(ACCEPTED))
                    survive(service)
                    is_sent = another(service, "notification", "sent")
                    use(receiver.port, says(ACCEPTED))
                    wait_for(is_sent)
                    wait_for(lambda: json.loads(receiver.body)["status"] == "pass")
                    wait_for(another(service, "heartbeat", "sent"))
                    assert receiver.open <= 2
                    # Each kind may have a connection and a thread for the moment.
                    wait_for(lambda: service.descriptors() + process.num_threads() <= size + 4)
                    # The first trouble imports and allocates what the others use again.
                    memory = memory or process.memory_info().rss
                assert process.memory_info().rss - memory < GROWTH

        await asyncio.to_thread(observe)
    # Hundreds of requests have failed, in a few series.
    assert (tmp_path / "log").read_text().count("notifications failing") < 20


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty. Write the secret into it."),
        ("ftp://host/", "must have the form http://host:port/path or https://host:port/path."),
        ("https://user:word@host/", "contains credentials. Use a URL with a token instead."),
    ],
)
def test_a_url_that_can_not_be_used_stops_the_start(
    tmp_path: Path, text: str, problem: str
) -> None:
    """With one line that names the file, and not the URL."""
    (tmp_path / "notify_url").write_text(text)
    result = end(
        start("serve", SECRETS_DIR=str(tmp_path), CHECKS='{"one": {"url": "tcp://127.0.0.1:1"}}')
    )
    assert result.code == 78
    assert result.err.startswith(f"vitals: notify_url: {tmp_path}/notify_url {problem}")
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("host", ["receiver.test", "127.0.0.1", "[::1]"])
async def test_the_doctor_connects_to_each_kind_of_host(tmp_path: Path, host: str) -> None:
    """An IPv6 address keeps its brackets."""
    (tmp_path / "notify_url").write_text(f"http://{host}/hook")
    async with AsyncExitStack() as stack:
        checks = await open_connection_checks(Settings(secrets_dir=tmp_path), stack)
    assert [check.name for check in checks] == ["notify_url"]
