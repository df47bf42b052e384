"""Twemproxy in front of a Redis: it knows neither CLIENT nor CLUSTER."""

from collections.abc import Iterator

import pytest

from app.health import Reason
from tests.support.faults.servers import killed
from tests.system.asking import open_probe, wait_until_passing
from tests.system.servers import Pooler, SystemRedis, program
from tests.unit.checks.attempt import failure


class Twemproxy(Pooler):
    """A Twemproxy in front of one Redis."""

    def __init__(self, backend: SystemRedis) -> None:
        super().__init__(backend)
        self._statistics_port = self.reserve_port()

    @property
    def url(self) -> str:
        """URL without the password."""
        return f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Write the configuration, and return the command."""
        file = self.write(
            "settings.yml",
            f"main:\n"
            f"  listen: 127.0.0.1:{self.port}\n"
            f"  redis: true\n"
            f"  redis_auth: {self.password_file.read_text()}\n"
            f"  servers:\n"
            f"    - 127.0.0.1:{self._backend.port}:1\n",
        )
        log = "--output", str(self.folder / "nutcracker.log")
        statistics = "--stats-addr", "127.0.0.1", "--stats-port", str(self._statistics_port)
        return [str(program("nutcracker")), "--conf-file", str(file), *log, *statistics]


@pytest.fixture(name="proxy", scope="module")
def _proxy(system_redis: SystemRedis) -> Iterator[Twemproxy]:
    with Twemproxy(system_redis) as proxy:
        yield proxy


@pytest.mark.parametrize("depth", ["connect", "query"])
async def test_the_check_passes(proxy: Twemproxy, depth: str) -> None:
    """Also after the proxy was gone."""
    async with open_probe(proxy, require=depth, renew_after=0) as probe:
        await probe()
        await probe()
        with killed(proxy):
            assert await failure(probe) is Reason.REFUSED
        await probe()


async def test_a_redis_that_is_down_behind_the_proxy_is_unreachable(
    proxy: Twemproxy, system_redis: SystemRedis
) -> None:
    """The proxy answers PING itself, so that `connect` passes."""
    async with open_probe(proxy) as probe, open_probe(proxy, require="connect") as connecting:
        await probe()
        with killed(system_redis):
            await connecting()
            reasons = [await failure(probe) for _ in range(3)]
            assert set(reasons) == {Reason.UNREACHABLE}
        await wait_until_passing(probe)


async def test_a_wrong_password_is_auth(proxy: Twemproxy) -> None:
    """The words differ from those of Redis."""
    password = proxy.password_file.read_text()
    proxy.password_file.write_text("wrong")
    async with open_probe(proxy) as probe:
        assert await failure(probe) is Reason.AUTH
    proxy.password_file.write_text(password)
