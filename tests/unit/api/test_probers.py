"""The list of clients on the page: names, rates and bounded memory."""

from app.api.clients import FORGET_AFTER, MAX_CLIENTS, MAX_NAME_LENGTH, OTHERS, Clients
from app.health import Instant


START = 100.0
NOW = Instant(START + 1100, 2100.0)
LONG = "x" * 10_000


def test_clients_have_a_rate_and_a_last_request() -> None:
    """The latest comes first, and a single request has no rate."""
    clients = Clients()
    clients.record(b"once", START)
    for second in range(1000):
        clients.record(b"ELB", START + second)
        clients.record(b"HAProxy", START + second)
        clients.record(b"HAProxy", START + second + 0.5)
    listed = [(client.name, client.rate, client.last_seen) for client in clients.all(NOW)]
    assert listed == [
        ("HAProxy", 2, NOW + -100.5),
        ("ELB", 1, NOW + -101),
        ("once", None, NOW + -1100),
    ]


def test_the_rate_covers_the_latest_requests_only() -> None:
    """A client that sent few requests and sends many now has a high rate."""
    clients = Clients()
    for seconds in [*range(0, 1000, 100), *range(1000, 1100)]:
        clients.record(b"kube-probe", START + seconds)
    assert clients.all(NOW)[0].rate == 1


def test_invented_names_are_listed_together() -> None:
    """They use bounded memory, and a client that was there before keeps its own row."""
    clients = Clients()
    for second in range(1000):
        clients.record(b"HAProxy", START + second)
        clients.record(f"invented {second} {LONG}".encode(), START + second)
    names = [client.name for client in clients.all(NOW)]
    assert {"HAProxy", OTHERS.decode()} <= set(names)
    assert len(names) <= MAX_CLIENTS + 1
    assert max(map(len, names)) == MAX_NAME_LENGTH


def test_requests_with_the_same_long_name_are_one_client() -> None:
    """The shortened name is recognized, also when the list is full."""
    clients = Clients()
    for number in range(MAX_CLIENTS):
        clients.record(f"{number} {LONG}".encode(), START)
    clients.record(f"0 {LONG}".encode(), START + 1)
    rates = {client.name: client.rate for client in clients.all(NOW)}
    assert len(rates) == MAX_CLIENTS
    assert rates[f"0 {LONG}"[:MAX_NAME_LENGTH]] == 1


def test_a_silent_client_makes_room_for_a_new_one() -> None:
    """After FORGET_AFTER seconds, and not before."""
    clients = Clients()
    for number in range(MAX_CLIENTS):
        clients.record(f"early {number}".encode(), START + number)
    clients.record(b"late", START + (FORGET_AFTER - 0.1))
    assert "late" not in {client.name for client in clients.all(NOW)}
    clients.record(b"late", START + FORGET_AFTER)
    assert {"late", "early 1"} <= {client.name for client in clients.all(NOW)}
    assert "early 0" not in {client.name for client in clients.all(NOW)}


def test_a_client_without_a_user_agent_is_listed() -> None:
    """Some probes send no such header."""
    clients = Clients()
    clients.record(b"", START)
    assert [client.name for client in clients.all(NOW)] == ["no name"]
