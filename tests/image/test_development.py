"""Development in a fresh clone, without preparation."""

from tests.image.stack import Stack, until


def test_it_serves_with_stores_that_require_a_password(development: Stack) -> None:
    code, body = development.ask("/health")
    assert (code, body["status"], set(body["checks"])) == (200, "pass", {"postgres", "redis"})
    refused = development.exec("redis", "redis-cli", "ping")
    assert refused.startswith("NOAUTH")


def test_a_change_of_the_code_is_served_without_a_build_or_restart(development: Stack) -> None:
    before = development.starts()
    source = development.folder / "app/__init__.py"
    source.write_text(source.read_text().replace('__version__ = "', '__version__ = "changed-'))

    def served() -> str:
        try:
            version: str = development.ask("/openapi.json")[1]["info"]["version"]
        except OSError:
            return "nothing"
        return version.partition("-")[0]

    until(served, "changed", within=15)
    assert development.starts() == before


def test_its_image_has_the_development_tools(development: Stack) -> None:
    for tool in ("pytest", "mypy", "ruff"):
        assert tool in development.exec("backend", tool, "--version")
