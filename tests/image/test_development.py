"""Development in a fresh clone, with nothing prepared."""

from tests.image.stack import Stack, until


def test_it_serves(development: Stack) -> None:
    """On real stores, with a password each."""
    code, body = development.ask("/health")
    assert (code, body["status"], set(body["checks"])) == (200, "pass", {"postgres", "redis"})
    refused = development.exec("redis", "redis-cli", "ping")
    assert refused.startswith("NOAUTH")


def test_a_change_of_the_code_is_served(development: Stack) -> None:
    """Without a build, a restart of the container, or a wait for the drain."""
    before = development.lives()
    source = development.folder / "app/__init__.py"
    source.write_text(source.read_text().replace('__version__ = "', '__version__ = "changed-'))

    def served() -> str:
        try:
            version: str = development.ask("/openapi.json")[1]["info"]["version"]
        except OSError:
            return "nothing"
        return version.partition("-")[0]

    until(served, "changed", within=15)
    assert development.lives() == before


def test_it_runs_what_production_lacks(development: Stack) -> None:
    """The tools of development are in its image."""
    for tool in ("pytest", "mypy", "ruff"):
        assert tool in development.exec("backend", tool, "--version")
