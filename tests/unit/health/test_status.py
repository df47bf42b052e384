from app.health import Reason, Status


def test_a_worse_status_is_a_greater_one() -> None:
    """The worst of several statuses is their maximum."""
    assert sorted(Status) == [Status.PASS, Status.WARN, Status.UNKNOWN, Status.FAIL]


def test_statuses_have_the_documented_spelling() -> None:
    """Clients parse these words."""
    assert [status.word for status in Status] == ["pass", "warn", "unknown", "fail"]


def test_the_list_of_reasons_is_closed() -> None:
    """Dashboards and alerts know these words."""
    words = """dns refused unreachable connect_timeout timeout disconnected tls auth denied
    too_many_connections starting read_only no_primary cluster_down not_replica lagging condition
    out_of_memory persistence misconfigured protocol http_status stuck stale error"""
    assert [reason.value for reason in Reason] == words.split()
