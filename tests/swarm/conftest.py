"""The deployment that the tests share."""

from collections.abc import Iterator

import pytest

from tests.swarm.fleet import Fleet, fleet


@pytest.fixture(name="deployed", scope="session")
def _deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The deployed stack with all tasks ready. A test must repair what it breaks."""
    with fleet(tmp_path_factory.mktemp("fleet")) as deployed:
        yield deployed
