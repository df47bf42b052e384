from app.api.clients import FORGOTTEN_AFTER, MAX_CLIENTS, MAX_NAME_LENGTH, OTHERS, Clients
from app.health import Instant


START = 100.0
NOW = Instant(START + 1100, 2100.0)
LONG = "x" * 10_000


def test_probers_are_told_by_rate_and_last_request() -> None:
    """The latest first; one request alone has no rate."""
    clients = Clients()
    clients.asked(b"once", START)
    for second in range(1000):
        clients.asked(b"ELB", START + second)
        clients.asked(b"HAProxy", START + second)
        clients.asked(b"HAProxy", START + second + 0.5)
    told = [(client.name, client.rate, client.last) for client in clients.all(NOW)]
    assert told == [
        ("HAProxy", 2, NOW + -100.5),
        ("ELB", 1, NOW + -101),
        ("once", None, NOW + -1100),
    ]


def test_a_rate_is_the_present_one() -> None:
    """Whoever asked seldom and asks often now is told as asking often."""
    clients = Clients()
    for seconds in [*range(0, 1000, 100), *range(1000, 1100)]:
        clients.asked(b"kube-probe", START + seconds)
    assert clients.all(NOW)[0].rate == 1


def test_invented_names_do_not_fill_the_memory() -> None:
    """They are told together, and whoever asked before keeps a line of its own."""
    clients = Clients()
    for second in range(1000):
        clients.asked(b"HAProxy", START + second)
        clients.asked(f"invented {second} {LONG}".encode(), START + second)
    names = [client.name for client in clients.all(NOW)]
    assert {"HAProxy", OTHERS.decode()} <= set(names)
    assert len(names) <= MAX_CLIENTS + 1
    assert max(map(len, names)) == MAX_NAME_LENGTH


def test_a_long_name_is_cut_and_stays_one() -> None:
    """It is known again by what is kept of it, also when there is room for no other."""
    clients = Clients()
    for number in range(MAX_CLIENTS):
        clients.asked(f"{number} {LONG}".encode(), START)
    clients.asked(f"0 {LONG}".encode(), START + 1)
    told = {client.name: client.rate for client in clients.all(NOW)}
    assert len(told) == MAX_CLIENTS
    assert told[f"0 {LONG}"[:MAX_NAME_LENGTH]] == 1


def test_whoever_asks_no_more_makes_room() -> None:
    """A prober that comes late has a line of its own as soon as another is forgotten."""
    clients = Clients()
    for number in range(MAX_CLIENTS):
        clients.asked(f"early {number}".encode(), START + number)
    clients.asked(b"late", START + (FORGOTTEN_AFTER - 0.1))
    assert "late" not in {client.name for client in clients.all(NOW)}
    clients.asked(b"late", START + FORGOTTEN_AFTER)
    assert {"late", "early 1"} <= {client.name for client in clients.all(NOW)}
    assert "early 0" not in {client.name for client in clients.all(NOW)}


def test_one_without_a_name_is_told_too() -> None:
    """Some probers send no User-Agent."""
    clients = Clients()
    clients.asked(b"", START)
    assert [client.name for client in clients.all(NOW)] == ["no name"]
